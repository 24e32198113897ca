using System.Runtime.InteropServices;
using DualSparse.Engine.Vision;

namespace DualSparse.Distributed;

/// <summary>What rank 0's tower has made of a picture: it is sent once, and then known by its number.</summary>
/// <param name="Number">The number.</param>
/// <param name="Rows">Rows of tokens.</param>
/// <param name="Columns">Tokens of each.</param>
/// <param name="Levels">[levels] of [tokens, hidden] f32.</param>
internal sealed record PictureMessage(int Number, int Rows, int Columns, byte[][] Levels)
{
    /// <summary>Of a picture.</summary>
    public static PictureMessage Of(int number, PictureRows picture) =>
        new(number, picture.Rows, picture.Columns, [.. picture.Levels.Select(level => MemoryMarshal.AsBytes<float>(level).ToArray())]);

    /// <summary>The picture.</summary>
    public PictureRows Read() => new(Rows, Columns, [.. Levels.Select(level => MemoryMarshal.Cast<byte, float>(level).ToArray())]);
}

/// <summary>A picture of a text.</summary>
/// <param name="First">Its first token.</param>
/// <param name="Number">The picture's number.</param>
internal sealed record PlacedMessage(int First, int Number);
