using DualSparse.Kernels.Threading;
using DualSparse.Models;
using DualSparse.Models.Text;

namespace DualSparse.Training.Data;

/// <summary>Texts as one stream of ids: document after document, an end-of-text id after each.</summary>
internal sealed class TokenStream
{
    // Ids of a block: the stream grows without copying what it has.
    private const int BlockBits = 18, BlockLength = 1 << BlockBits;

    // Characters a thread that are encoded at a time: enough that threads end together, and little memory.
    private const int CharactersTogether = 1 << 20;

    private readonly List<int[]> blocks = [];

    /// <summary>Ids.</summary>
    public long Count { get; private set; }

    /// <summary>The files in order.</summary>
    public IReadOnlyList<TextFileFacts> Files { get; private set; } = [];

    /// <summary>Reads and encodes files.</summary>
    /// <param name="files">UTF-8 texts.</param>
    /// <param name="tokenizer">The model's. Special tokens in a text are spelled out like any other.</param>
    /// <param name="separator">The id after each document; null: none.</param>
    /// <param name="team">The threads.</param>
    /// <param name="progress">Receives the share of bytes read.</param>
    /// <param name="cancel">Cancels.</param>
    /// <exception cref="ModelFormatException">A file can't be read, or isn't UTF-8.</exception>
    public static TokenStream Encode(
        IReadOnlyList<string> files, Tokenizer tokenizer, int? separator, ThreadTeam team, IProgress<double>? progress = null, CancellationToken cancel = default)
    {
        var stream = new TokenStream();
        List<TextFileFacts> facts = [];
        List<TextPiece> pieces = [];
        long characters = 0, before = 0, all = Math.Max(1, files.Sum(file => File.Exists(file) ? new FileInfo(file).Length : 0));
        foreach (string file in files)
        {
            var reader = new DocumentReader(file, MayCut);
            foreach (var piece in reader.Read())
            {
                pieces.Add(piece);
                characters += piece.Text.Length;
                if (characters < (long)CharactersTogether * team.Size)
                    continue;
                Flush();
                progress?.Report((double)(before + reader.BytesRead) / all);
            }

            facts.Add(reader.Facts!);
            before += reader.BytesRead;
        }

        Flush();
        progress?.Report(1);
        stream.Files = facts;
        return stream;

        void Flush()
        {
            cancel.ThrowIfCancellationRequested();
            var ids = new int[pieces.Count][];
            team.For(ids.Length, (i, _) => ids[i] = Ids(pieces[i].Text));
            for (int i = 0; i < ids.Length; i++)
            {
                stream.Append(ids[i]);
                if (pieces[i].EndsDocument && separator is { } id)
                    stream.Append([id]);
            }

            pieces.Clear();
            characters = 0;
        }

        // Where it may not for a word or a rule about a text's beginning, it shows within a few words of the cut.
        bool MayCut(string left, string right) => Ids(left + right).AsSpan() is var whole && Ids(left) is var first && whole.StartsWith(first) && whole[first.Length..].SequenceEqual(Ids(right));

        int[] Ids(string text) => tokenizer.Encode(text, addSpecial: false, allowSpecial: false);
    }

    /// <summary>Copies ids from a place on, as many as there is room for.</summary>
    /// <exception cref="ArgumentOutOfRangeException">There are fewer.</exception>
    public void Copy(long first, Span<int> destination)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(first);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(first + destination.Length, Count);
        while (!destination.IsEmpty)
        {
            var part = blocks[(int)(first >> BlockBits)].AsSpan((int)(first & (BlockLength - 1)));
            part = part[..Math.Min(part.Length, destination.Length)];
            part.CopyTo(destination);
            destination = destination[part.Length..];
            first += part.Length;
        }
    }

    private void Append(ReadOnlySpan<int> ids)
    {
        while (!ids.IsEmpty)
        {
            int used = (int)(Count & (BlockLength - 1));
            if (used == 0)
                blocks.Add(new int[BlockLength]);
            var part = ids[..Math.Min(ids.Length, BlockLength - used)];
            part.CopyTo(blocks[^1].AsSpan(used));
            ids = ids[part.Length..];
            Count += part.Length;
        }
    }
}
