using DualSparse.Models;
using DualSparse.Models.Safetensors;
using DualSparse.Models.Text;

namespace DualSparse.Evaluation;

/// <summary>Windows of a text: each predicts its targets from its inputs alone.</summary>
/// <param name="Name">The text.</param>
/// <param name="Inputs">Each window's ids.</param>
/// <param name="Targets">The id that follows each of them.</param>
internal sealed record TextWindows(string Name, IReadOnlyList<int[]> Inputs, IReadOnlyList<int[]> Targets)
{
    /// <summary>Ids of the whole text, of which windows may hold the first part only; null where windows are all that is known.</summary>
    public int? TextTokens { get; init; }

    /// <summary>[windows] whether each one's rows are marked; null: none are.</summary>
    public IReadOnlyList<bool>? Marked { get; init; }

    /// <summary>[windows] the text that each is of; null: all are of one.</summary>
    public IReadOnlyList<string>? Sources { get; init; }

    private const string InputSuffix = ".input_ids", TargetSuffix = ".targets";

    /// <summary>
    /// Window i predicts the ids iN + 1 to iN + N from iN to iN + N − 1; with an opening id it predicts iN to iN + N − 1, the first of them from
    /// the opening id alone.
    /// </summary>
    /// <param name="name">The text.</param>
    /// <param name="ids">Its ids; what fills no window is left out.</param>
    /// <param name="context">N.</param>
    /// <param name="most">Windows at most.</param>
    /// <param name="opening">The id that each window begins with; null: its first id is one of the text.</param>
    /// <exception cref="ArgumentException">A number isn't positive, or the text fills no window.</exception>
    public static TextWindows Cut(string name, ReadOnlySpan<int> ids, int context, int most, int? opening = null)
    {
        if (context < 1 || most < 1)
            throw new ArgumentException($"{most} windows of {context} tokens of context, expected at least 1 of each");
        int[] stream = opening is { } id ? [id, .. ids] : ids.ToArray();
        int windows = Math.Min(most, (stream.Length - 1) / context);
        if (windows < 1)
            throw new ArgumentException($"{name} has {ids.Length} tokens, too few for a window of {context}{(opening is null ? " and the one after it" : "")}: take a longer text or a shorter window");
        var (inputs, targets) = (new int[windows][], new int[windows][]);
        for (int w = 0; w < windows; w++)
        {
            (inputs[w], targets[w]) = (stream[(w * context)..((w + 1) * context)], stream[(w * context + 1)..((w + 1) * context + 1)]);
            inputs[w][0] = opening ?? inputs[w][0];
        }

        return new TextWindows(name, inputs, targets) { TextTokens = ids.Length };
    }

    /// <summary>Windows of several texts, some of them marked, each kind evenly between the others: so a pass over some of them has about the same share.</summary>
    /// <param name="texts">The texts.</param>
    /// <param name="isMarked">Whether a text's rows are marked.</param>
    /// <param name="share">The share of marked windows; null: as they come.</param>
    /// <param name="most">Windows at most.</param>
    /// <exception cref="ArgumentException">There are too few.</exception>
    public static TextWindows Mix(IReadOnlyList<TextWindows> texts, Func<string, bool> isMarked, double? share, int most)
    {
        (TextWindows Text, int Window)[] Of(bool mark) => [.. texts.Where(text => isMarked(text.Name) == mark).SelectMany(text => Enumerable.Range(0, text.Inputs.Count).Select(w => (text, w)))];
        var (marked, others) = (Of(true), Of(false));
        double part = share ?? (double)marked.Length / (marked.Length + others.Length);
        int total = most;
        while (total > 0 && (Marks(total) > marked.Length || total - Marks(total) > others.Length))
            total--;
        if (total == 0)
            throw new ArgumentException($"there are {marked.Length} marked windows and {others.Length} others, too few for a share of {part:0.##}");
        List<(TextWindows Text, int Window, bool Marked)> all = [];
        for (int w = 0; w < total; w++)
        {
            // Of the first w windows so many are marked.
            int before = Marks(w), after = Marks(w + 1);
            all.Add(after > before ? (marked[before].Text, marked[before].Window, true) : (others[w - before].Text, others[w - before].Window, false));
        }

        return new TextWindows(string.Join(" + ", texts.Select(text => text.Name)), [.. all.Select(w => w.Text.Inputs[w.Window])], [.. all.Select(w => w.Text.Targets[w.Window])])
        {
            Marked = [.. all.Select(w => w.Marked)],
            Sources = [.. all.Select(w => w.Text.Name)],
        };

        int Marks(int of) => (int)Math.Round(of * part, MidpointRounding.AwayFromZero);
    }

    /// <summary>A text as one stream of ids, without the special tokens that a tokenizer puts around a prompt.</summary>
    /// <exception cref="ArgumentException">As <see cref="Cut"/>.</exception>
    public static TextWindows Of(string name, string text, Tokenizer tokenizer, int context, int most, int? opening = null) =>
        Cut(name, tokenizer.Encode(text, addSpecial: false, allowSpecial: false), context, most, opening);

    /// <summary>The sets of a safetensors file: NAME.input_ids and NAME.targets, [windows, N] integers.</summary>
    /// <param name="file">The file.</param>
    /// <param name="most">Of each set the first so many windows.</param>
    /// <exception cref="ModelFormatException">There is no such tensor, or a pair differs in shape.</exception>
    public static IReadOnlyList<TextWindows> ReadIds(string file, int most)
    {
        using var tensors = SafetensorsFile.Open(file);
        string[] names = [.. tensors.Tensors.Keys.Where(n => n.EndsWith(InputSuffix, StringComparison.Ordinal)).Select(n => n[..^InputSuffix.Length]).Order(StringComparer.Ordinal)];
        return names.Length > 0
            ? [.. names.Select(name => ReadSet(tensors, name, most))]
            : throw new ModelFormatException($"{file} has no tensor NAME{InputSuffix}");
    }

    /// <summary>Refuses texts of one name: reports tell them apart by it.</summary>
    /// <exception cref="ArgumentException">Two have the same.</exception>
    public static void RequireNames(IReadOnlyList<TextWindows> texts)
    {
        if (texts.GroupBy(t => t.Name).FirstOrDefault(g => g.Count() > 1) is { } twice)
            throw new ArgumentException($"two texts are called {twice.Key}; give one of them another name");
    }

    private static TextWindows ReadSet(SafetensorsFile file, string name, int most)
    {
        var (inputs, targets) = (file.Get(name + InputSuffix), file.Get(name + TargetSuffix));
        if (inputs.Shape.Count != 2 || inputs.Count == 0)
            throw new ModelFormatException($"{file.Path}: {inputs.Name} has the shape [{string.Join(", ", inputs.Shape)}], expected [windows, ids]");
        targets.Expect([.. inputs.Shape]);
        return new TextWindows(name, Rows(inputs, most), Rows(targets, most));
    }

    private static int[][] Rows(TensorView tensor, int most) =>
        [.. tensor.ReadIdRows().Take(most)];
}
