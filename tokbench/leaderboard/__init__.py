"""From measured results and published figures to pages: Markdown, CSV, LaTeX and a static site."""
