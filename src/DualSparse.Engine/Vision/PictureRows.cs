
using DualSparse.Models.Pictures;

namespace DualSparse.Engine.Vision;

/// <summary>What a vision tower makes of a picture: rows of the text model.</summary>
/// <param name="Rows">Rows of tokens, from top to bottom.</param>
/// <param name="Columns">Tokens of each.</param>
/// <param name="Levels">
/// [1 + deepstack levels] of [tokens, hidden] f32: what stands in the place of the tokens' embeddings, then what is added behind the text model's
/// first layers.
/// </param>
internal sealed record PictureRows(int Rows, int Columns, float[][] Levels)
{
    /// <summary>What the picture is told by; null: it isn't shared.</summary>
    public PictureDigest? Digest { get; init; }

    /// <summary>Bytes of all levels.</summary>
    public long Bytes => Levels.Sum(level => level.LongLength * sizeof(float));

    /// <summary>Tokens.</summary>
    public int Tokens => Rows * Columns;

    /// <summary>The positions by which what follows the picture is farther than its beginning: as many as its longer side has tokens.</summary>
    public int Span => Math.Max(Rows, Columns);
}
