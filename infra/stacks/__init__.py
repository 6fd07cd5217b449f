"""The kinds of stack: which components each has, and what it exports."""
