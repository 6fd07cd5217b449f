"""The platform as values: regions, servers, addresses, flows, names, records. No input or output happens here."""
