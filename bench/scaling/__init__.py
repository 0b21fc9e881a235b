"""The scaling decision beside its peers and beside what is possible, on real and on generated load."""
