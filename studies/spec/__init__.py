"""What runs are: one frozen configuration per study, on a base that all share."""
