"""The only writer: evidence becomes run artifacts, tags and metrics; what cannot be written is spooled."""
