using System.Runtime.CompilerServices;
using JpegLibrary;

namespace DualSparse.Models.Pictures;

/// <summary>
/// A JPEG's colours as its decoder gives them, each with as many samples as the file has, and from them the picture: coarser colours are spread over
/// it by a triangle, three parts of the nearest sample and one of the next, as libjpeg does and so the programs that models were trained with.
/// </summary>
/// <param name="frame">The file's.</param>
internal sealed class JpegPlanes(JpegFrame frame) : JpegBlockOutputWriter
{
    private const int Block = 8;

    private readonly byte[][] planes = [.. frame.Down.Select(by => new byte[(long)Part(frame.Width, by.Across) * Part(frame.Height, by.Down)])];

    /// <summary>Takes a block of one colour, already repeated where the colour is coarser; of repeated samples one is kept.</summary>
    public override void WriteBlock(ref short blockRef, int componentIndex, int x, int y)
    {
        if ((uint)componentIndex >= (uint)planes.Length || x < 0 || y < 0)
            return;
        var (across, down) = frame.Down[componentIndex];
        byte[] plane = planes[componentIndex];
        int width = Part(frame.Width, across);
        for (int i = 0; i < Block && y + i < frame.Height; i += down)
        {
            for (int j = 0; j < Block && x + j < frame.Width; j += across)
                plane[(y + i) / down * width + (x + j) / across] = (byte)Math.Clamp(Unsafe.Add(ref blockRef, i * Block + j), (short)0, (short)255);
        }
    }

    /// <summary>The picture, once all blocks are here.</summary>
    public Pixels Colours()
    {
        int count = frame.Width * frame.Height;
        byte[][] full = [.. planes.Select((plane, c) => Spread(plane, frame.Down[c]))];
        byte[] rgb = new byte[3L * count];
        for (int i = 0; i < count; i++)
        {
            var pixel = rgb.AsSpan(3 * i, 3);
            if (full.Length == 1)
                pixel.Fill(full[0][i]);
            else if (frame.IsRgb)
                (pixel[0], pixel[1], pixel[2]) = (full[0][i], full[1][i], full[2][i]);
            else
                FromDifferences(full[0][i], full[1][i] - 128, full[2][i] - 128, pixel);
        }

        return new Pixels(frame.Width, frame.Height, rgb);
    }

    // The coefficients of ITU-R BT.601, as JFIF has them.
    private static void FromDifferences(int brightness, int blue, int red, Span<byte> rgb)
    {
        rgb[0] = Byte(brightness + 1.402 * red);
        rgb[1] = Byte(brightness - 0.344136286 * blue - 0.714136286 * red);
        rgb[2] = Byte(brightness + 1.772 * blue);

        static byte Byte(double value) => (byte)Math.Clamp(Math.Floor(value + 0.5), 0, 255);
    }

    private byte[] Spread(byte[] plane, (int Across, int Down) by)
    {
        if (by == (1, 1))
            return plane;
        int width = Part(frame.Width, by.Across), height = Part(frame.Height, by.Down);
        byte[] full = new byte[(long)frame.Width * frame.Height];
        // Of both ways together the weights are sixteenths; a colour that is coarser by 4 is repeated, as libjpeg does.
        for (int y = 0; y < frame.Height; y++)
        {
            var (row, otherRow, rowShare) = Nearest(y, by.Down, height);
            for (int x = 0; x < frame.Width; x++)
            {
                var (column, otherColumn, columnShare) = Nearest(x, by.Across, width);
                int here = columnShare * plane[row * width + column] + (4 - columnShare) * plane[row * width + otherColumn];
                int there = columnShare * plane[otherRow * width + column] + (4 - columnShare) * plane[otherRow * width + otherColumn];
                full[y * frame.Width + x] = (byte)(rowShare * here + (4 - rowShare) * there + 8 >> 4);
            }
        }

        return full;
    }

    // The sample that a pixel lies in, the next nearest, and the first one's quarters.
    private static (int Sample, int Other, int Share) Nearest(int pixel, int by, int count)
    {
        int sample = pixel / by;
        return by == 2 ? (sample, Math.Clamp(sample + (pixel % 2 == 0 ? -1 : 1), 0, count - 1), 3) : (sample, sample, 4);
    }

    private static int Part(int size, int by) => (size + by - 1) / by;
}
