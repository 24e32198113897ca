using System.Text;
using DualSparse.Models;
using DualSparse.Models.Text;

namespace DualSparse.Sparsify;

/// <summary>Text to calibrate on: documents, separated in a file by a line <c>&lt;|endoftext|&gt;</c>.</summary>
internal sealed class CalibrationText
{
    private const string EndOfText = "<|endoftext|>";

    // data/calibration/calibration.txt, next to its card.
    private const string SampleResource = "calibration.txt";

    private CalibrationText(string name, IReadOnlyList<string> documents) => (Name, Documents) = (name, documents);

    /// <summary>Its name in reports.</summary>
    public string Name { get; }

    /// <summary>The documents in order, none empty.</summary>
    public IReadOnlyList<string> Documents { get; }

    /// <summary>The built-in sample: books, technical text and facts, about 500 KB.</summary>
    public static CalibrationText Sample()
    {
        using var reader = new StreamReader(typeof(CalibrationText).Assembly.GetManifestResourceStream(SampleResource)!, Encoding.UTF8);
        return new CalibrationText("the sample that ships", Split(reader.ReadToEnd()));
    }

    /// <summary>Reads UTF-8 files; each begins a document.</summary>
    /// <exception cref="ModelFormatException">A file can't be read or isn't UTF-8, or there is no text in any.</exception>
    public static CalibrationText Read(IReadOnlyList<string> files)
    {
        List<string> documents = [];
        foreach (string file in files)
            documents.AddRange(Split(TextFile.Read(file)));
        return documents.Count > 0
            ? new CalibrationText(string.Join(", ", files.Select(Path.GetFileName)), documents)
            : throw new ModelFormatException($"{string.Join(", ", files)}: there is no text");
    }

    /// <summary>The documents as one stream of ids, cut into windows; an incomplete last window is dropped.</summary>
    /// <param name="tokenizer">The model's tokenizer.</param>
    /// <param name="generation">Its first end-of-sequence id follows each document; without one, the tokenizer's <c>&lt;|endoftext|&gt;</c>, or nothing.</param>
    /// <param name="contextTokens">Ids in a window.</param>
    /// <param name="maxWindows">The most windows; no more text is encoded than they need.</param>
    /// <exception cref="ArgumentException">A window is empty, or the text doesn't fill a single one.</exception>
    public int[][] Windows(Tokenizer tokenizer, GenerationDefaults generation, int contextTokens, int maxWindows)
    {
        if (contextTokens < 1 || maxWindows < 1)
            throw new ArgumentException($"{maxWindows} windows of {contextTokens} tokens, expected at least one of one");
        int? separator = generation.EosIds is [int eos, ..] ? eos : tokenizer.IdOf(EndOfText);
        List<int> stream = [];
        foreach (string document in Documents)
        {
            stream.AddRange(tokenizer.Encode(document, addSpecial: false, allowSpecial: false));
            if (separator is int id)
                stream.Add(id);
            if (stream.Count / contextTokens >= maxWindows)
                break;
        }

        return stream.Count >= contextTokens
            ? [.. stream.Chunk(contextTokens).Where(window => window.Length == contextTokens).Take(maxWindows)]
            : throw new ArgumentException($"{Name} has {stream.Count} tokens, too few for a window of {contextTokens}");
    }

    private static string[] Split(string text)
    {
        List<string> documents = [];
        List<string> lines = [];
        foreach (string line in text.Replace("\r\n", "\n", StringComparison.Ordinal).Split('\n').Append(EndOfText))
        {
            if (line != EndOfText)
            {
                lines.Add(line);
                continue;
            }

            documents.Add(string.Join('\n', lines).Trim('\n'));
            lines.Clear();
        }

        return [.. documents.Where(document => document.Length > 0)];
    }
}
