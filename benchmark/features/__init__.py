"""Features that metrics read, such as boxes of faces and optical flow: one file each."""
