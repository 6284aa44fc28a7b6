"""Answers at rest: the tables of a data set, its files, reading them, and questions to them."""
