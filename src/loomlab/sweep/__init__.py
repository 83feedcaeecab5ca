"""Many jobs: expanded, checked, recorded in a ledger, launched, and taken up again."""
