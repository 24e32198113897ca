using System.Text.Json;
using System.Text.Json.Serialization;
using DualSparse.Engine;

namespace DualSparse.Distributed;

/// <summary>What rank 0 tells the others before they run a pass with it.</summary>
/// <param name="Changes">What has happened to texts since the last pass, in order.</param>
/// <param name="Chunks">The pass's chunks; none: there are no more passes.</param>
/// <param name="Ended">Caches and texts that won't come again.</param>
/// <param name="Balanced">Whether loads are balanced in it, where that is asked for.</param>
/// <param name="Pictures">Pictures that the others haven't seen.</param>
/// <param name="EndedPictures">Pictures that won't come again.</param>
internal sealed record PassMessage(
    IReadOnlyList<TextChange> Changes, IReadOnlyList<ChunkMessage> Chunks, IReadOnlyList<int> Ended, bool Balanced = true, IReadOnlyList<PictureMessage>? Pictures = null, IReadOnlyList<int>? EndedPictures = null)
{
    // Thresholds may be infinite.
    private static readonly JsonSerializerOptions s_json = new() { NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals };

    /// <summary>The end.</summary>
    public static PassMessage End { get; } = new([], [], []);

    /// <summary>The rows that each rank has in a pass.</summary>
    public static int[] RowsOf(IEnumerable<ChunkMessage> chunks, int ranks)
    {
        int[] rows = new int[ranks];
        foreach (var chunk in chunks)
            rows[chunk.Home!.Value] += chunk.Ids.Length;
        return rows;
    }

    /// <summary>As bytes.</summary>
    public byte[] ToBytes() => JsonSerializer.SerializeToUtf8Bytes(this, s_json);

    /// <summary>From bytes.</summary>
    public static PassMessage Read(ReadOnlySpan<byte> bytes) => JsonSerializer.Deserialize<PassMessage>(bytes, s_json)!;
}

/// <summary>A change of a text's drop.</summary>
/// <param name="Text">The text's number.</param>
/// <param name="Parent">Of a new text that is a part of another: the other; else null.</param>
/// <param name="Plan">Its plan, where the text is new or the plan is; else null.</param>
/// <param name="Joins">A part that joins the text; null: none does.</param>
internal sealed record TextChange(int Text, int? Parent = null, DropRequest? Plan = null, int? Joins = null);

/// <summary>A chunk of a pass.</summary>
/// <param name="Cache">The cache's number.</param>
/// <param name="Capacity">The tokens that it can hold.</param>
/// <param name="Length">The tokens that it holds before the pass.</param>
/// <param name="Ids">The next tokens.</param>
/// <param name="Logits">Which logits are wanted.</param>
/// <param name="Generated">Whether the model generated the tokens.</param>
/// <param name="AppendedFrom">The first position of the tokens that are appended together; null: not known.</param>
/// <param name="AppendedTo">The position after their last.</param>
/// <param name="Text">The text's number; null: it has no drop.</param>
/// <param name="Followed">The tokens that the text's thresholds have adapted to.</param>
/// <param name="Home">The rank that runs it; null: all do.</param>
/// <param name="MarkedFrom">The first of the tokens that are marked …</param>
/// <param name="MarkedTo">… and the one after the last.</param>
/// <param name="Pictures">Where the text has pictures; null: nowhere.</param>
internal sealed record ChunkMessage(int Cache, int Capacity, int Length, int[] Ids, LogitRows Logits, bool Generated, int? AppendedFrom, int? AppendedTo, int? Text, int Followed, int? Home, int MarkedFrom = 0, int MarkedTo = 0,
    IReadOnlyList<PlacedMessage>? Pictures = null);
