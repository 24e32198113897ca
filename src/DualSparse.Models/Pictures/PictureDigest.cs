using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace DualSparse.Models.Pictures;

/// <summary>What a picture's patches are told by: 256 bits of their SHA-256.</summary>
/// <param name="A">The first 64.</param>
/// <param name="B">The second.</param>
/// <param name="C">The third.</param>
/// <param name="D">The last.</param>
internal readonly record struct PictureDigest(ulong A, ulong B, ulong C, ulong D)
{
    /// <summary>Of some patches.</summary>
    public static PictureDigest Of(PatchGrid grid, float[] values)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        Span<byte> size = stackalloc byte[12], digest = stackalloc byte[32];
        BinaryPrimitives.WriteInt32LittleEndian(size, grid.Frames);
        BinaryPrimitives.WriteInt32LittleEndian(size[4..], grid.Rows);
        BinaryPrimitives.WriteInt32LittleEndian(size[8..], grid.Columns);
        hash.AppendData(size);
        hash.AppendData(MemoryMarshal.AsBytes<float>(values));
        hash.GetHashAndReset(digest);
        return MemoryMarshal.Read<PictureDigest>(digest);
    }

    /// <summary>A number below zero in the place of one of the picture's tokens: eight in a row have all bits but eight.</summary>
    /// <param name="token">Which of its tokens.</param>
    public int Key(int token)
    {
        ulong part = (token / 2 % 4) switch { 0 => A, 1 => B, 2 => C, _ => D };
        return (int)(part >> 32 * (token % 2)) | int.MinValue;
    }
}
