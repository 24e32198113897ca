using DualSparse.Benchmarking;
using DualSparse.Benchmarking.ExpertParallel;
using DualSparse.Engine;
using DualSparse.Engine.Moe;
using DualSparse.Engine.Vision;
using DualSparse.Evaluation.Tasks;
using DualSparse.Models;
using DualSparse.Models.Pictures;
using DualSparse.Models.Text;

namespace DualSparse.Cli.Commands;

/// <summary>Requests with pictures whose routing by a model is taken for <c>bench ep</c>: two pictures each, then a text, made of a task's rows.</summary>
/// <param name="Folder">The model's folder.</param>
/// <param name="Prompts">The requests; the second half come earlier, and are known when experts are placed.</param>
/// <param name="Each">Requests of a rank.</param>
/// <param name="Layers">The layers whose routing is taken.</param>
/// <param name="Times">Experts that each of the model's stands for.</param>
/// <param name="Experts">Experts of the layer that is timed.</param>
internal sealed record EpRequests(string Folder, IReadOnlyList<PicturePrompt> Prompts, int Each, int[] Layers, int Times, int Experts)
{
    // As the published measurement has them, with an eighth of its text: a small model's pictures are an eighth of a large one's.
    private const int Pictures = 2, TextTokens = 32;

    /// <summary>Rows of a request.</summary>
    public int Rows => Prompts[0].Ids.Length;

    /// <summary>Of them those of pictures.</summary>
    public int Marked => Rows - TextTokens - Pictures * 2;

    /// <summary>Reads them.</summary>
    /// <param name="file">A task's file whose rows have a query and a picture.</param>
    /// <param name="folder">The model's folder.</param>
    /// <param name="config">The model.</param>
    /// <param name="shape">The layer that is timed.</param>
    /// <param name="layers">The layers whose routing is taken.</param>
    /// <param name="each">Requests of a rank.</param>
    /// <param name="ranks">The most ranks.</param>
    /// <exception cref="ArgumentException">They aren't alike, or the model's routing doesn't fit the layer.</exception>
    /// <exception cref="ModelFormatException">A file is damaged.</exception>
    public static EpRequests Read(string file, string folder, ModelConfig config, LayerShape shape, int[] layers, int each, int ranks)
    {
        var vision = config.Vision ?? throw PicturePrompt.TextOnly(config);
        var moe = config.Moe!;
        int times = shape.Experts / moe.Experts, count = 2 * each * ranks;
        if (shape.Experts != times * moe.Experts || shape.TopK != times * moe.TopK)
            throw new ArgumentException($"--requests are routed by a model with {moe.TopK} of {moe.Experts} experts, expected a whole part of {shape.Name}'s {shape.TopK} of {shape.Experts}");
        string name = Path.GetFileNameWithoutExtension(file.EndsWith(".xz", StringComparison.Ordinal) ? file[..^3] : file);
        var items = TaskFile.Read(Path.GetDirectoryName(Path.GetFullPath(file))!, name, Pictures * count).Items;
        if (items.Count < Pictures * count || items.Any(item => item.Pictures.Count == 0))
            throw new ArgumentException($"{file} has {items.Count(item => item.Pictures.Count > 0)} of {items.Count} rows with pictures, expected {Pictures * count}, for {count} requests, half of them earlier ones");
        var processor = PictureProcessor.Load(folder, vision);
        var tokenizer = Tokenizer.Load(folder);
        PicturePrompt[] prompts = [.. Enumerable.Range(0, count).Select(Prompt)];
        return prompts.Select(prompt => prompt.Ids.Length).Distinct().Count() == 1 ? new EpRequests(folder, prompts, each, layers, times, shape.Experts)
            : throw new ArgumentException($"{file} has pictures of several sizes, expected one: each rank is to have as many rows");

        PicturePrompt Prompt(int request)
        {
            var own = items.Skip(Pictures * request).Take(Pictures).ToArray();
            // Queries follow one another until they are long enough.
            List<int> text = [];
            for (int i = Pictures * request; text.Count < TextTokens; i = (i + 1) % items.Count)
                text.AddRange(tokenizer.Encode(items[i].Candidates[0].Context + " ", addSpecial: false, allowSpecial: false));
            return PicturePrompt.Of(config, text.Take(TextTokens).ToArray(), [.. own.Select(item => item.Pictures[0].Read(processor))], config.MaxPositions);
        }
    }

    /// <summary>Where rows go, and where earlier ones went.</summary>
    /// <param name="options">How the model is loaded.</param>
    public (EpRouting Routing, IReadOnlyList<long[]> History) Capture(EngineOptions options)
    {
        var plans = RequestPlans.Capture(Folder, options, Prompts, Layers, Times);
        var (now, before) = (plans[..(plans.Length / 2)], plans[(plans.Length / 2)..]);
        var routing = new EpRouting($"the model's of {Each} requests a rank, {Pictures} pictures and {TextTokens} tokens each, layers {string.Join(", ", Layers)}", ranks =>
            [.. Enumerable.Range(0, ranks).Select(rank => Enumerable.Range(0, Layers.Length).Select(layer => RequestPlans.Join([.. now.Skip(rank * Each).Take(Each).Select(request => request[layer])], Marked)).ToArray())]);
        return (routing, [.. Enumerable.Range(0, Layers.Length).Select(layer => Count(before.Select(request => request[layer])))]);
    }

    private long[] Count(IEnumerable<RoutingPlan> plans)
    {
        long[] counts = new long[Experts];
        foreach (var plan in plans)
        {
            foreach (int expert in plan.Experts)
                counts[expert]++;
        }

        return counts;
    }
}
