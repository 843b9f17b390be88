"""Node pools: nodes of any size, whatever the machine has."""
