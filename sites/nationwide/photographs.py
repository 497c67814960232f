#!/usr/bin/env python3
"""Paints the two photographs of the site into static/pictures/: the broomcorn field and the canal.

Needs Pillow and NumPy from PyPI; the same versions give the same bytes. Run it from anywhere: python3 photographs.py
"""

import random
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

OUT = Path(__file__).resolve().parent / "static" / "pictures"


def gradient(size, stops):
    """Bands of colour from top to bottom, given as (height from 0 to 1, colour)."""
    width, height = size
    at = np.linspace(0, 1, height)
    heights = [stop for stop, _ in stops]
    rows = np.stack([np.interp(at, heights, [colour[i] for _, colour in stops]) for i in range(3)], axis=1)
    return Image.fromarray(np.repeat(rows[:, None, :], width, axis=1).round().astype(np.uint8))


def glow(picture, x, y, radius, colour, strength):
    """Adds light around a point."""
    width, height = picture.size
    across, down = np.meshgrid(np.arange(width), np.arange(height))
    light = strength * np.exp(-((across - x) ** 2 + ((down - y) * 1.3) ** 2) / radius**2)[..., None]
    lit = np.asarray(picture, dtype=float) * (1 - light) + np.array(colour, dtype=float) * light
    return Image.fromarray(lit.clip(0, 255).astype(np.uint8))


def film(picture, seed, grain=3.0):
    """Grain, and corners a little darker, as a lens makes them."""
    width, height = picture.size
    noise = np.random.default_rng(seed).normal(0, grain, (height // 2 + 1, width // 2 + 1)).repeat(2, 0).repeat(2, 1)
    across, down = np.meshgrid(np.linspace(-1, 1, width), np.linspace(-1, 1, height))
    lens = 1 - 0.16 * (across**2 + down**2)
    shot = np.asarray(picture, dtype=float) * lens[..., None] + noise[:height, :width, None]
    return Image.fromarray(shot.clip(0, 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(0.7))


def ridge(chance, width, base, rough, points=9):
    """The outline of a hill, point by point."""
    heights = np.interp(np.arange(width), np.linspace(0, width, points), [base + chance.uniform(-rough, rough) for _ in range(points)])
    kernel = np.ones(161) / 161
    smooth = np.convolve(np.pad(heights, 80, mode="edge"), kernel, mode="valid")
    return [(x, int(y)) for x, y in enumerate(smooth)]


def field(width=1600, height=1067):
    """Broomcorn before the first cut, a little after sunrise."""
    chance = random.Random(1954)
    picture = gradient((width, height), [(0, (126, 160, 186)), (0.28, (214, 204, 186)), (0.42, (248, 214, 158)), (1, (250, 220, 160))])
    for base, rough, colour in ((410, 46, (160, 172, 178)), (450, 34, (122, 142, 142)), (492, 20, (88, 112, 96))):
        hill = Image.new("L", picture.size, 0)
        ImageDraw.Draw(hill).polygon([(0, height), *ridge(chance, width, base, rough), (width, height)], fill=255)
        picture.paste(colour, mask=hill.filter(ImageFilter.GaussianBlur(2)))
    picture = glow(picture, 1130, 420, 420, (255, 226, 160), 0.8)
    for row in range(34):
        near = (row / 33) ** 1.7
        ground = int(505 + near * 700)
        tall = 26 + near * 170
        layer = Image.new("RGBA", picture.size, (0, 0, 0, 0))
        draw = ImageDraw.Draw(layer)
        shade = 0.95 - 0.2 * near
        for _ in range(int(520 - 240 * near)):
            x, lean, top = chance.uniform(-40, width + 40), chance.gauss(0, 0.1), tall * chance.uniform(0.7, 1.1)
            green = (int(118 * shade), int(126 * shade), int(58 * shade), 255)
            tip = (int(222 * shade), int(162 * shade), int(84 * shade), 255)
            end = (x + lean * top, ground - top)
            draw.line([(x, ground + 20), end], fill=green, width=max(1, int(1 + near * 5)))
            for _ in range(5 + int(near * 12)):
                spread = chance.gauss(0, 0.10 + 0.02 * near) * top
                draw.line([(end[0], end[1] + top * 0.16), (end[0] + spread, end[1] - top * chance.uniform(0.02, 0.14))], fill=tip, width=max(1, int(1 + near * 3)))
        blur = 0.8 if near < 0.55 else 0.8 + (near - 0.55) * 5
        picture.paste(layer.convert("RGB").filter(ImageFilter.GaussianBlur(blur)), mask=layer.getchannel("A").filter(ImageFilter.GaussianBlur(blur)))
    return film(glow(picture, 1130, 430, 300, (255, 232, 180), 0.35), 3, 2.2)


def canal(width=1600, height=900):
    """The canal behind the goods shed, at the hour when the lamps are lit."""
    chance = random.Random(2026)
    picture = gradient((width, height), [(0, (44, 62, 96)), (0.3, (118, 110, 138)), (0.5, (232, 164, 120)), (0.56, (246, 190, 132)), (1, (246, 190, 132))])
    water = 540
    for depth, (low, high, colour) in enumerate((((150, 260), (60, 110), (112, 100, 122)), ((120, 300), (70, 150), (66, 64, 88)), ((70, 210), (90, 190), (32, 36, 54)))):
        draw = ImageDraw.Draw(picture)
        x = -40
        while x < width:
            wide, tall = chance.randint(*high), chance.randint(*low)
            draw.rectangle([x, water - tall, x + wide, water], fill=colour)
            if depth == 2 and chance.random() < 0.7:
                draw.polygon([(x - 10, water - tall), (x + wide / 2, water - tall - 44), (x + wide + 10, water - tall)], fill=(26, 29, 44))
            for column in range(x + 12, x + wide - 14, 26):
                for row in range(water - tall + 18, water - 24, 34):
                    if chance.random() < (0.1, 0.22, 0.34)[depth]:
                        draw.rectangle([column, row, column + 11, row + 16], fill=(255, 208 - chance.randint(0, 40), 128))
            x += wide + chance.choice((0, 0, 14))
        picture = picture.filter(ImageFilter.GaussianBlur((2.4, 1.4, 0.8)[depth]))
    above = np.asarray(picture)[:water]
    waves = np.random.default_rng(7)
    mirrored = np.empty((height - water, width, 3), dtype=np.uint8)
    for row in range(height - water):
        sway = int(waves.normal(0, 1.5 + row / 26))
        mirrored[row] = np.roll(above[max(0, water - 1 - int(row * 1.35))], sway, axis=0)
    surface = Image.fromarray(mirrored).filter(ImageFilter.BoxBlur(3)).filter(ImageFilter.GaussianBlur(1.5))
    picture.paste(Image.blend(surface, Image.new("RGB", surface.size, (36, 48, 74)), 0.3), (0, water))
    draw = ImageDraw.Draw(picture)
    draw.rectangle([0, water - 6, width, water + 5], fill=(24, 26, 38))
    for x in range(90, width, 250):
        draw.rectangle([x - 3, water - 92, x + 3, water], fill=(20, 22, 32))
        picture = glow(picture, x, water - 96, 46, (255, 222, 150), 0.95)
        picture = glow(picture, x, water + 96, 40, (255, 206, 140), 0.4)
        draw = ImageDraw.Draw(picture)
    draw.polygon([(430, 700), (1010, 690), (960, 752), (500, 760)], fill=(22, 24, 34))
    draw.polygon([(590, 696), (600, 650), (800, 646), (812, 692)], fill=(38, 36, 46))
    draw.rectangle([630, 660, 652, 682], fill=(255, 204, 128))
    return film(picture.filter(ImageFilter.GaussianBlur(0.6)), 5, 3.5)


def main():
    for name, picture in (("broomcorn-field", field()), ("canal-at-dusk", canal())):
        picture.save(OUT / f"{name}.jpg", quality=64, optimize=True, progressive=True)


if __name__ == "__main__":
    main()
