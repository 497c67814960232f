//! Raster pictures: how large one is, and the same in other sizes as WebP. Pure, and bounded: a file says how large
//! its picture is, and is believed up to a limit alone.

use std::io::Cursor;

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{PixelType, ResizeOptions, Resizer};
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};
use moxcms::{ColorProfile, Layout, TransformOptions};
use webp::Encoder;

/// The most pixels that a picture has: more than most cameras make, and a quarter of a gigabyte while it is read.
const MAX_PIXELS: u64 = 64 << 20;

/// The most bytes that reading a picture takes.
const MAX_MEMORY: u64 = 1 << 30;

/// How many pixels wide and high a picture is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size {
    /// How wide.
    pub(crate) width: u32,
    /// How high.
    pub(crate) height: u32,
}

/// A picture, upright and in sRGB.
pub(crate) struct Raster {
    size: Size,
    /// Four bytes a pixel: red, green, blue and alpha, or three where all of it is opaque.
    pixels: Vec<u8>,
    depth: PixelType,
}

/// Whether these bytes are WebP.
pub(crate) fn is_webp(bytes: &[u8]) -> bool {
    format(bytes) == Some(ImageFormat::WebP)
}

/// How large the picture is when it stands upright. Reads no more than the head of the file.
///
/// # Errors
/// Why it cannot be read, as a sentence's end.
pub(crate) fn size(bytes: &[u8]) -> Result<Size, String> {
    let mut decoder = decoder(bytes)?;
    let (width, height) = decoder.dimensions();
    let size = match decoder.orientation().unwrap_or(Orientation::NoTransforms) {
        Orientation::Rotate90 | Orientation::Rotate270 | Orientation::Rotate90FlipH | Orientation::Rotate270FlipH => {
            Size { width: height, height: width }
        }
        _ => Size { width, height },
    };
    Ok(size)
}

impl Raster {
    /// Reads the whole picture.
    ///
    /// # Errors
    /// Why it cannot be read, as a sentence's end.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, String> {
        let mut decoder = decoder(bytes)?;
        let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
        let profile = decoder.icc_profile().ok().flatten();
        let mut picture = DynamicImage::from_decoder(decoder).map_err(|error| error.to_string())?;
        picture.apply_orientation(orientation);
        let size = Size { width: picture.width(), height: picture.height() };
        let (mut pixels, depth) = if picture.color().has_alpha() {
            (picture.into_rgba8().into_raw(), PixelType::U8x4)
        } else {
            (picture.into_rgb8().into_raw(), PixelType::U8x3)
        };
        if let Some(profile) = profile {
            to_srgb(&mut pixels, depth, &profile);
        }
        Ok(Self { size, pixels, depth })
    }

    /// The picture as WebP, `width` pixels wide, which is no more than it has.
    ///
    /// # Errors
    /// Why it cannot be made.
    pub(crate) fn webp(&self, width: u32, quality: u8) -> Result<Vec<u8>, String> {
        let size = self.size.narrowed(width);
        let said = |error: &dyn std::fmt::Display| error.to_string();
        let source = ImageRef::new(self.size.width, self.size.height, &self.pixels, self.depth);
        let source = source.map_err(|error| said(&error))?;
        let mut small = Image::new(size.width, size.height, self.depth);
        Resizer::new().resize(&source, &mut small, &ResizeOptions::new()).map_err(|error| said(&error))?;
        let encoder = match self.depth {
            PixelType::U8x4 => Encoder::from_rgba(small.buffer(), size.width, size.height),
            _ => Encoder::from_rgb(small.buffer(), size.width, size.height),
        };
        let webp = encoder.encode_simple(false, f32::from(quality));
        Ok(webp.map_err(|error| format!("{error:?}"))?.to_vec())
    }
}

impl Size {
    /// The size of the same picture when it is `width` wide, to the nearest pixel.
    fn narrowed(self, width: u32) -> Self {
        let Self { width: whole, height } = self;
        let scaled = (u64::from(height) * u64::from(width) * 2 + u64::from(whole)) / (u64::from(whole) * 2).max(1);
        Self { width, height: u32::try_from(scaled).unwrap_or(height).max(1) }
    }
}

fn format(bytes: &[u8]) -> Option<ImageFormat> {
    let known = [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::WebP];
    image::guess_format(bytes).ok().filter(|format| known.contains(format))
}

fn decoder(bytes: &[u8]) -> Result<impl ImageDecoder + '_, String> {
    let format = format(bytes).ok_or("it is no PNG, JPEG or WebP picture")?;
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_MEMORY);
    reader.limits(limits);
    let decoder = reader.into_decoder().map_err(|error| error.to_string())?;
    let (width, height) = decoder.dimensions();
    if width == 0 || height == 0 || u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Err(format!("it has {width} by {height} pixels, and {MAX_PIXELS} in all is the most"));
    }
    Ok(decoder)
}

/// Colours of another profile become sRGB, since the files that are made carry none. A profile that cannot be read is
/// passed over, as browsers do.
fn to_srgb(pixels: &mut Vec<u8>, depth: PixelType, profile: &[u8]) {
    let layout = if depth == PixelType::U8x4 { Layout::Rgba } else { Layout::Rgb };
    let Ok(profile) = ColorProfile::new_from_slice(profile) else { return };
    let options = TransformOptions::default();
    let Ok(transform) = profile.create_transform_8bit(layout, &ColorProfile::new_srgb(), layout, options) else {
        return;
    };
    let mut converted = vec![0; pixels.len()];
    if transform.transform(pixels, &mut converted).is_ok() {
        *pixels = converted;
    }
}

#[cfg(test)]
mod tests {
    use image::{ExtendedColorType, ImageEncoder, Rgba, RgbaImage};
    use proptest::prelude::*;

    use super::*;

    /// Red on the left, transparent on the right.
    fn flag(width: u32, height: u32) -> RgbaImage {
        RgbaImage::from_fn(
            width,
            height,
            |x, _| if x < width / 2 { Rgba([255, 0, 0, 255]) } else { Rgba([0, 0, 255, 0]) },
        )
    }

    fn png(picture: &RgbaImage) -> Vec<u8> {
        let mut bytes = Vec::new();
        let encoder = image::codecs::png::PngEncoder::new(&mut bytes);
        encoder.write_image(picture, picture.width(), picture.height(), ExtendedColorType::Rgba8).unwrap();
        bytes
    }

    /// A JPEG, dark on the left, that says it was taken with the camera turned.
    fn turned_jpeg() -> Vec<u8> {
        let pixels: Vec<u8> = (0..64 * 32).flat_map(|at| [if at % 64 < 32 { 0 } else { 255 }; 3]).collect();
        let mut bytes = Vec::new();
        let mut encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, 90);
        // TIFF, big-endian, one entry: Orientation (0x0112), SHORT, 6: turn right by a quarter.
        let exif = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
        encoder.set_exif_metadata(exif.to_vec()).unwrap();
        encoder.encode(&pixels, 64, 32, ExtendedColorType::Rgb8).unwrap();
        bytes
    }

    fn again(bytes: &[u8]) -> RgbaImage {
        image::load_from_memory_with_format(bytes, ImageFormat::WebP).unwrap().into_rgba8()
    }

    #[test]
    fn a_picture_gets_narrower_and_keeps_its_alpha_without_a_fringe() {
        let picture = png(&flag(64, 32));
        assert_eq!(size(&picture).unwrap(), Size { width: 64, height: 32 });
        let small = again(&Raster::read(&picture).unwrap().webp(20, 90).unwrap());
        assert_eq!(small.dimensions(), (20, 10));
        assert_eq!((small[(1, 5)].0[3], small[(18, 5)].0[3]), (255, 0));
        let [red, _, blue, _] = small[(8, 5)].0;
        assert!(red > 180 && blue < 60, "{:?}", small[(8, 5)]);
    }

    #[test]
    fn a_picture_stands_upright() {
        let picture = turned_jpeg();
        assert_eq!(size(&picture).unwrap(), Size { width: 32, height: 64 });
        let upright = again(&Raster::read(&picture).unwrap().webp(32, 90).unwrap());
        assert_eq!(upright.dimensions(), (32, 64));
        assert!(upright[(16, 5)].0[0] < 40 && upright[(16, 60)].0[0] > 215, "dark is above");
    }

    #[test]
    fn a_picture_that_says_it_is_huge_is_refused_before_it_is_read() {
        let mut bomb = png(&flag(2, 2));
        // IHDR: width and height follow the chunk's name at byte 12; the checksum stands after them.
        bomb[16..20].copy_from_slice(&60_000_u32.to_be_bytes());
        bomb[20..24].copy_from_slice(&60_000_u32.to_be_bytes());
        let checksum = crc(&bomb[12..29]);
        bomb[29..33].copy_from_slice(&checksum.to_be_bytes());
        let told = "it has 60000 by 60000 pixels, and 67108864 in all is the most";
        assert_eq!(size(&bomb).unwrap_err(), told);
        assert_eq!(Raster::read(&bomb).err().unwrap(), told);
    }

    fn crc(bytes: &[u8]) -> u32 {
        let step = |crc: u32, _| if crc & 1 == 1 { 0xedb8_8320 ^ (crc >> 1) } else { crc >> 1 };
        !bytes.iter().fold(!0_u32, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
    }

    proptest! {
        #[test]
        fn no_damage_makes_it_panic(which in 0..3_usize, at in 0..2000_usize, byte: u8, cut in 0..2000_usize) {
            let picture = png(&flag(33, 17));
            let webp = || Raster::read(&picture).unwrap().webp(33, 50).unwrap();
            let mut bytes = match which { 0 => picture.clone(), 1 => turned_jpeg(), _ => webp() };
            let (at, cut) = (at % bytes.len(), cut % bytes.len());
            bytes[at] = byte;
            for bytes in [&bytes[..], &bytes[..cut]] {
                if let Ok(picture) = Raster::read(bytes) {
                    let _ = picture.webp(10, 50);
                }
            }
        }
    }
}
