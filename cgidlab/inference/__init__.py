"""Statistics on plain arrays: intervals, looks, power, series. scipy and numpy do the mathematics."""
