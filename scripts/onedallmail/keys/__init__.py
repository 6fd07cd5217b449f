"""Keys that the platform makes for itself: DKIM signing keys (the private CA lives in the role `pki`)."""
