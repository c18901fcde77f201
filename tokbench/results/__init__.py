"""What a run leaves behind: rows with intervals, their tables, and how they are stored."""
