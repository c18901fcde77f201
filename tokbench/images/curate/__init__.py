"""From a folder of pictures to an image set: what is kept, what is dropped and why, and what is written in them."""
