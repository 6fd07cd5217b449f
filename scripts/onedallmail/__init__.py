"""1dallmail: one mail domain on several active servers in several regions, with evidence."""
