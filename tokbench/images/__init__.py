"""Image sets: cards, readers, and the pixel side of protocols."""
