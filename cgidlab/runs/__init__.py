"""What can be known from a run directory alone: years later, on another machine, without Ansible."""
