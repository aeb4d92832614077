"""What a person sees on the terminal: the progress of a run, and tables. rich does the drawing."""
