"""The verbs of the management system: state, declare, assess risks, open incidents, look at the gap."""
