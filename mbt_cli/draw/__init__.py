"""Figures: values in, figures out; each kind is a file of its own here.

One style for all: a colour, a marker and a line style for each strategy, seeds as small points,
their mean as a large one.
"""
