"""What the package promises in numbers, measured beside upstream `gym-hil==0.1.14`. Run all: `make bench`."""
