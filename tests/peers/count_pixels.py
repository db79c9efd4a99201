"""Prints how many pixels of a PNG have this colour: count_pixels.py RRGGBB < PNG."""
import sys

import cairocffi

wanted = bytes.fromhex(sys.argv[1])[::-1]  # as it is in memory: blue, green, red and one unused
picture = cairocffi.ImageSurface.create_from_png(sys.stdin.buffer)
pixels = bytes(picture.get_data())
print(sum(pixels[at : at + 3] == wanted for at in range(0, len(pixels), 4)))
