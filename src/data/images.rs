//! Images in a folder for each class, as torchvision's `ImageFolder` has them: the classes are the names of the folders in order.
//! Which images there are is read once; each is decoded when it is asked for.

use super::dataset::Dataset;
use super::limit::inflated;
use super::tensors::out_of_range;
use crate::device::default_device;
use crate::error::{Error, Result};
use crate::file::{file_error, read_whole};
use crate::mode::values::no_host_read;
use crate::tensor::Tensor;
use crate::tensor::bytes::from_bytes;
use allotrope_ir::DType;
use image::{ImageReader, Limits};
use std::fs;
use std::io::Cursor;
use std::panic::Location;
use std::path::{Path, PathBuf};

/// The elements of an image.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum Pixels {
    /// f32 in [0, 1], as torchvision's `ToTensor`.
    #[default]
    Float,
    /// u8, as in the file.
    Byte,
}

/// How images are decoded.
#[derive(Clone, Debug, Default)]
pub struct ImageFolderOptions {
    pub pixels: Pixels,
    /// One channel of brightness (`(299 R + 587 G + 114 B) / 1000`, as Pillow's `L`) instead of red, green and blue.
    pub grayscale: bool,
}

/// Images with the number of their class: items are `([channels, height, width], class)`.
///
/// ```no_run
/// use allotrope::data::{DataLoader, DataLoaderOptions, ImageFolder};
/// let images = ImageFolder::new("pets")?; // pets/cat/1.png, pets/dog/7.jpg, ..
/// println!("{:?}", images.classes());
/// let loader = DataLoader::with_options(images, DataLoaderOptions { batch_size: 16, shuffle: true, ..Default::default() });
/// # Ok::<(), allotrope::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct ImageFolder {
    classes: Vec<String>,
    images: Vec<(PathBuf, usize)>,
    options: ImageFolderOptions,
}

/// Endings of the files that count as images.
const ENDINGS: [&str; 3] = ["png", "jpg", "jpeg"];

impl ImageFolder {
    /// The images in the folders of `root`, as f32 in [0, 1] with three channels.
    ///
    /// # Errors
    /// When the folder cannot be read, has no folders, or one of them has no images.
    pub fn new(root: impl AsRef<Path>) -> Result<ImageFolder> {
        ImageFolder::with_options(root, ImageFolderOptions::default())
    }

    /// As [`ImageFolder::new`], with options.
    ///
    /// # Errors
    /// As there.
    pub fn with_options(root: impl AsRef<Path>, options: ImageFolderOptions) -> Result<ImageFolder> {
        let root = root.as_ref();
        let folders: Vec<PathBuf> = entries(root)?.into_iter().filter(|path| path.is_dir()).collect();
        if folders.is_empty() {
            return Err(file_error(root, "has no folders; there should be one for each class"));
        }
        let (mut classes, mut images) = (Vec::new(), Vec::new());
        for (class, folder) in folders.iter().enumerate() {
            let mut found = Vec::new();
            collect(folder, &mut Vec::new(), &mut found)?;
            if found.is_empty() {
                return Err(file_error(
                    folder,
                    format!("has no images; those are files ending in {}", ENDINGS.join(", ")),
                ));
            }
            classes.push(folder.file_name().unwrap_or_default().to_string_lossy().into_owned());
            images.extend(found.into_iter().map(|path| (path, class)));
        }
        Ok(ImageFolder { classes, images, options })
    }

    /// The names of the classes: class `i` is the name `i`.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// The files with the numbers of their classes.
    pub fn images(&self) -> &[(PathBuf, usize)] {
        &self.images
    }
}

impl Dataset for ImageFolder {
    type Item = (Tensor, i64);
    fn len(&self) -> usize {
        self.images.len()
    }
    #[track_caller]
    fn get(&self, index: usize) -> Result<(Tensor, i64)> {
        let (path, class) = self.images.get(index).ok_or_else(|| out_of_range(index, self.images.len()))?;
        no_host_read("an image", Location::caller())?;
        Ok((decoded(path, &self.options)?, *class as i64))
    }
}

/// What is in a folder, by name.
fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let read = || fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<PathBuf>>>();
    let mut all = read().map_err(|e| file_error(folder, format!("cannot be read: {e}")))?;
    all.sort();
    Ok(all)
}

/// The images in a folder, and then those in the folders in it; `around` are the folders that it is in.
fn collect(folder: &Path, around: &mut Vec<PathBuf>, found: &mut Vec<PathBuf>) -> Result<()> {
    let real = fs::canonicalize(folder).map_err(|e| file_error(folder, format!("cannot be read: {e}")))?;
    if around.iter().any(|outer| outer.starts_with(&real)) {
        return Err(file_error(folder, "is a link to a folder that it is in"));
    }
    let (folders, files): (Vec<PathBuf>, Vec<PathBuf>) = entries(folder)?.into_iter().partition(|path| path.is_dir());
    let is_image = |path: &PathBuf| {
        let ending = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
        ENDINGS.contains(&&*ending)
    };
    found.extend(files.into_iter().filter(is_image));
    around.push(real);
    folders.iter().try_for_each(|inner| collect(inner, around, found))?;
    around.pop();
    Ok(())
}

/// The image in a file, `[channels, height, width]`.
fn decoded(path: &Path, options: &ImageFolderOptions) -> Result<Tensor> {
    let fault = |e: &dyn std::fmt::Display| file_error(path, format!("is no whole image: {e}"));
    let bytes = read_whole(path)?;
    let mut reader = ImageReader::new(Cursor::new(&bytes)).with_guessed_format().map_err(|e| fault(&e))?;
    let mut limits = Limits::default();
    limits.max_alloc = Some(inflated(bytes.len()));
    reader.limits(limits);
    let rgb = reader.decode().map_err(|e| fault(&e))?.into_rgb8();
    let (width, height) = (rgb.width() as usize, rgb.height() as usize);
    let (pixels, _) = rgb.as_raw().as_chunks::<3>();
    let planes: Vec<u8> = if options.grayscale {
        // Pillow's whole numbers, in units of 2^-16.
        let gray =
            |[r, g, b]: [u8; 3]| (u32::from(r) * 19595 + u32::from(g) * 38470 + u32::from(b) * 7471 + 0x8000) >> 16;
        pixels.iter().map(|p| gray(*p) as u8).collect()
    } else {
        (0..3).flat_map(|channel| pixels.iter().map(move |p| p[channel])).collect()
    };
    let shape = [if options.grayscale { 1 } else { 3 }, height, width];
    let image = from_bytes(default_device(), DType::U8, &shape, &planes).map_err(|e: Error| fault(&e))?;
    match options.pixels {
        Pixels::Byte => Ok(image),
        Pixels::Float => image.try_to(DType::F32)?.try_div(255.0),
    }
}
