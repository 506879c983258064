"""The quality of bars as they arrive: a score from 0 to 1 with its parts, for each symbol and closed minute."""
