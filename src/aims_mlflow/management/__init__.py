"""The management system's records: what they hold, what is in force at a date, what they are evidence of. Pure."""
