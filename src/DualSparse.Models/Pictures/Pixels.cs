namespace DualSparse.Models.Pictures;

/// <summary>A picture's colours.</summary>
/// <param name="Width">Pixels of a line.</param>
/// <param name="Height">Lines.</param>
/// <param name="Rgb">[height, width, 3]: red, green and blue.</param>
internal sealed record Pixels(int Width, int Height, byte[] Rgb);
