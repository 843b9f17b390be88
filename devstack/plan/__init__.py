"""What `up`, `down` and `status` do, as data and as acts."""
