using System.Security.Cryptography;
using DualSparse.Kernels.Threading;
using DualSparse.Models;
using DualSparse.Models.Pictures;
using DualSparse.Training.Ops;

namespace DualSparse.Training.Data;

/// <summary>
/// Windows of texts with pictures: as many lines' as fit into one stand in it side by side, none is cut or sees another, and what is left over is
/// filled up. Pictures are decoded when a window is read.
/// </summary>
internal sealed class PictureWindows : IWindows
{
    /// <summary>How the names of such files end.</summary>
    public const string Extension = ".jsonl";

    // Lines read at a time.
    private const int LinesTogether = 4096;

    private readonly RunSetup setup;
    private readonly ThreadTeam team;
    private readonly int context;
    private readonly List<PictureText> texts = [];

    // The first text of each window, and behind the last the number of all.
    private readonly List<int> firsts = [];

    // Tokens of the last window that texts take.
    private int used;

    private PictureWindows(RunSetup setup, ThreadTeam team, int context) => (this.setup, this.team, this.context) = (setup, team, context);

    /// <inheritdoc/>
    public int Count => firsts.Count - 1;

    /// <inheritdoc/>
    public IReadOnlyList<TextFileFacts> Files { get; private set; } = [];

    /// <summary>Reads files.</summary>
    /// <param name="files">Of lines as <see cref="PictureText"/> says.</param>
    /// <param name="setup">The model and its tokenizer.</param>
    /// <param name="context">Tokens of a window.</param>
    /// <param name="team">The threads.</param>
    /// <param name="progress">Receives the share of lines read.</param>
    /// <param name="cancel">Cancels.</param>
    /// <exception cref="ModelFormatException">A file or a picture can't be read.</exception>
    /// <exception cref="ArgumentException">A text is longer than a window, there is none, or the model reads no pictures.</exception>
    public static PictureWindows Read(IReadOnlyList<string> files, RunSetup setup, int context, ThreadTeam team, IProgress<double>? progress = null, CancellationToken cancel = default)
    {
        if (setup.Pictures is not { } processor)
            throw new ArgumentException($"{files[0]} has pictures, and this model ({setup.Config.ModelType}) reads text only: expected one that reads pictures, such as qwen3_vl_moe");
        var windows = new PictureWindows(setup, team, context);
        List<TextFileFacts> facts = [];
        for (int file = 0; file < files.Count; file++)
        {
            var lines = JsonLine.Read(files[file]);
            using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
            for (int first = 0; first < lines.Count; first += LinesTogether)
            {
                cancel.ThrowIfCancellationRequested();
                var some = new PictureText[Math.Min(LinesTogether, lines.Count - first)];
                team.For(some.Length, (i, _) => some[i] = PictureText.Read(lines[first + i], setup, processor));
                for (int i = 0; i < some.Length; i++)
                {
                    windows.Add(some[i], lines[first + i]);
                    hash.AppendData(lines[first + i].Json.Span);
                    foreach (var (_, picture) in some[i].Pictures.Where(one => one.Picture.Bytes is null))
                        hash.AppendData(PictureFile.ReadBytes(picture.Path));
                }

                progress?.Report((file + (double)(first + some.Length) / lines.Count) / files.Count);
            }

            facts.Add(new TextFileFacts(Path.GetFullPath(files[file]), new FileInfo(files[file]).Length, Convert.ToHexStringLower(hash.GetHashAndReset())));
        }

        if (windows.texts.Count == 0)
            throw new ArgumentException($"{string.Join(", ", files)}: there is no line");
        windows.firsts.Add(windows.texts.Count);
        windows.Files = facts;
        return windows;
    }

    /// <inheritdoc/>
    public WindowBatch Batch(int[] windows)
    {
        int[] inputs = new int[windows.Length * context], targets = new int[windows.Length * context];
        Array.Fill(inputs, setup.Separator ?? 0);
        Array.Fill(targets, -1);
        List<(int First, PictureSource Picture)> found = [];
        List<Window> parts = [];
        for (int w = 0; w < windows.Length; w++)
        {
            int at = w * context;
            for (int t = firsts[windows[w]]; t < firsts[windows[w] + 1]; t++)
            {
                var text = texts[t];
                text.Ids.CopyTo(inputs, at);
                for (int i = 1; i < text.Ids.Length; i++)
                {
                    if (text.Learned[i])
                        targets[at + i - 1] = text.Ids[i];
                }

                found.AddRange(text.Pictures.Select(one => (at + one.First, one.Picture)));
                parts.Add(new Window(at, text.Ids.Length));
                at += text.Ids.Length;
            }

            if (at < (w + 1) * context)
                parts.Add(new Window(at, (w + 1) * context - at));
        }

        var pictures = new WindowPicture[found.Count];
        team.For(pictures.Length, (i, _) =>
        {
            var (first, picture) = found[i];
            pictures[i] = new WindowPicture(first, setup.Pictures!.Patches(picture.Decode(), picture.Path));
        });
        return new WindowBatch(windows.Length, context, inputs, targets) { Pictures = pictures, Parts = [.. parts] };
    }

    private void Add(PictureText text, JsonLine line)
    {
        if (text.Ids.Length > context)
            throw new ArgumentException($"{line.File}: line {line.Number} has {text.Ids.Length} tokens, expected at most {context}, those of a window: say less of it, or take a larger context");
        if (texts.Count == 0 || used + text.Ids.Length > context)
        {
            firsts.Add(texts.Count);
            used = 0;
        }

        used += text.Ids.Length;
        texts.Add(text);
    }
}
