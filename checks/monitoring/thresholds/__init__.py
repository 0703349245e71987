"""The thresholds that ship with gonogo, as data."""
