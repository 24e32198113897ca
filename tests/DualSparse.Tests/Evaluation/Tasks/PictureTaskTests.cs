using System.Text.Json;
using System.Text.Json.Nodes;
using DualSparse.Engine;
using DualSparse.Engine.Serving;
using DualSparse.Engine.Vision;
using DualSparse.Evaluation.Tasks;
using DualSparse.Kernels;
using DualSparse.Tests.Cli;
using DualSparse.Tests.Distributed;
using DualSparse.Tests.Engine.Vision;

namespace DualSparse.Tests.Evaluation.Tasks;

/// <summary>Tasks whose rows have pictures.</summary>
public sealed class PictureTaskTests : IDisposable
{
    private const int Opening = 290;

    private readonly TemporaryFolder folder = PictureModel.Write();

    public PictureTaskTests()
    {
        // Sequences begin with the id that ends a text.
        var config = JsonNode.Parse(File.ReadAllText(folder.File("config.json")))!;
        config["text_config"]!["eos_token_id"] = Opening;
        File.WriteAllText(folder.File("config.json"), config.ToJsonString(new JsonSerializerOptions()));
        foreach (string name in new[] { "exact.png", "tiny.png", "photo.jpg" })
            File.Copy(PictureModel.Picture(name), folder.File(name));
    }

    public void Dispose() => folder.Dispose();

    [Fact]
    public void Scores_are_the_models_own_of_the_pictures_then_the_text()
    {
        Write("scenes", Row("There is a red circle.", ["true", "false"], "exact.png"), Row("Two.", ["true", "false"], "tiny.png", PictureModel.Address()), Row("None.", ["yes, it is", "no"]));
        using var model = Load();
        var task = TaskFile.Read(folder.Path, "scenes");
        var result = TaskEvaluation.Run(model.Transformer, model.Tokenizer, task, cancel: TestContext.Current.CancellationToken);
        string[][] pictures = [[PictureModel.Picture()], [PictureModel.Picture("tiny.png"), PictureModel.Picture()], []];
        for (int i = 0; i < task.Items.Count; i++)
        {
            for (int c = 0; c < 2; c++)
                Assert.Equal(Written(model, pictures[i], task.Items[i].Candidates[c]), result.Items[i].Scores[c].LogLikelihood, 1e-4);
        }

        // By itself an item scores the same bits.
        var alone = TaskEvaluation.Run(model.Transformer, model.Tokenizer, task with { Items = [task.Items[1]] }, cancel: TestContext.Current.CancellationToken);
        Assert.Equal(alone.Items[0].Scores, result.Items[1].Scores);
    }

    [Fact]
    public void A_long_text_is_cut_and_pictures_arent()
    {
        const int context = 26 + 8;
        Write("scenes", Row(new string('x', 40) + "ab", ["cd", "ef"], "exact.png"));
        using var model = Load();
        var task = TaskFile.Read(folder.Path, "scenes");
        var cut = TaskEvaluation.Run(model.Transformer, model.Tokenizer, task, context, cancel: TestContext.Current.CancellationToken);
        Assert.Equal(1, cut.Cut);
        Write("short", Row("xxxab", ["cd", "ef"], "exact.png"));
        var same = TaskEvaluation.Run(model.Transformer, model.Tokenizer, TaskFile.Read(folder.Path, "short"), context, cancel: TestContext.Current.CancellationToken);
        Assert.Equal(0, same.Cut);
        Assert.Equal(same.Items[0].Scores, cut.Items[0].Scores);
        Assert.Contains("scenes: item 1 has pictures of 26 tokens, which leave too few of a context", Assert.Throws<ArgumentException>(() =>
            TaskEvaluation.Run(model.Transformer, model.Tokenizer, task, 28, cancel: TestContext.Current.CancellationToken)).Message);
        Assert.Contains("scenes.jsonl: line 1: 'images[0]', exact.png becomes 24 tokens, and there is room for 20: make it smaller", Assert.Throws<ArgumentException>(() =>
            TaskEvaluation.Run(model.Transformer, model.Tokenizer, task, 20, cancel: TestContext.Current.CancellationToken)).Message);
    }

    [Theory]
    [InlineData("\"exact.png\"", "line 2: 'images' is \"exact.png\", expected a list of at most 64 pictures: files in this folder, or 'data:image/png;base64,…'")]
    [InlineData("[7]", "line 2: 'images[0]' is 7, expected a string")]
    [InlineData("[\"https://example.org/a.png\"]", "line 2: 'images[0]' is an address on the web, and nothing is fetched from there")]
    [InlineData("[\"exact.png\", \"none.png\"]", "line 2: 'images[1]' is 'none.png', and there is no such file")]
    [InlineData("[\"data:image/png;base64,???\"]", "line 2: 'images[0]' isn't valid base64 behind its comma")]
    [InlineData("[\"data:image/png,abc\"]", "line 2: 'images[0]' is 'data:image/png,abc', expected a picture as 'data:image/png;base64,…'")]
    [InlineData("[\"data:image/webp;base64,UklGRgAAAABXRUJQVlA4IA==\"]", "line 2: 'images[0]': it is WebP, expected PNG or JPEG")]
    [InlineData("[\"config.json\"]", "line 2: 'images[0]', config.json: it is no picture that is known")]
    public void What_cant_be_read_names_file_and_line(string images, string expected)
    {
        File.WriteAllLines(folder.File("scenes.jsonl"), [Row("Q", ["a", "b"]), $$"""{"query": "Q", "choices": ["a", "b"], "gold": 0, "images": {{images}}}"""]);
        Assert.Contains($"{folder.File("scenes.jsonl")}: {expected}", CommandRun.Mistake("eval", folder.Path, "--tasks", "scenes", "--data", folder.Path));
    }

    [Fact]
    public void A_text_model_is_named()
    {
        Write("scenes", Row("Q", ["a", "b"], "exact.png"));
        Assert.Contains("scenes.jsonl: line 1: 'images[0]': this model (olmoe) reads text only", CommandRun.Mistake("eval", TestPaths.Model, "--tasks", "scenes", "--data", folder.Path));
        Assert.Contains($"there is no task 'scene', expected all or some of lambada", CommandRun.Mistake("eval", TestPaths.Model, "--tasks", "scene", "--data", folder.Path));
    }

    [Fact]
    public void Ranks_measure_what_one_process_measures_as_so_many_and_pictures_are_marked()
    {
        Write("scenes", [.. Enumerable.Range(0, 12).Select(i => Row($"There are {i}.", ["true", "false"], i % 2 == 0 ? "exact.png" : "photo.jpg"))]);
        Write("texts", [.. Enumerable.Range(0, 12).Select(i => Row($"There are {i} of the same length as a picture of a scene.", ["true", "false"]))]);
        string[] common =
        [
            "eval", folder.Path, "--data", folder.Path, "--placement", "own", "--balance", "both", "--balance-rule", "paper", "--drop", "0.3", "--expert-rates", "1000,1,3,1000",
            "--knee", "8", "--marked-above", "0.5", "--json",
        ];
        var alone = CommandRun.Of([.. common, "--tasks", "scenes,texts", "--as-ranks", "2"]);
        Assert.True(alone.Code == 0, alone.Errors);
        var real = MpiRun.Own([.. common, "--tasks", "scenes,texts", "--ranks", "2"]);
        Assert.True(real.Code == 0, real.Errors);
        Assert.Equal(alone.Output, real.Output);
        var scenes = JsonNode.Parse(alone.Output)!["tasks"]!["scenes"]!;
        Assert.True(scenes["kl"]!["value"]!.GetValue<double>() > 0);
        Assert.True(Switched("scenes") > 0);
        Assert.Equal(0, Switched("texts"));

        double Switched(string task)
        {
            var run = CommandRun.Of([.. common, "--as-ranks", "2", "--tasks", task]);
            return JsonNode.Parse(run.Output)!["balance"]!["switchedShare"]!.GetValue<double>();
        }
    }

    private static string Row(string query, string[] choices, params string[] images) => JsonSerializer.Serialize(images.Length == 0
        ? new { query, choices, gold = 0 }
        : (object)new { query, choices, gold = 0, images });

    // Σ log p of the continuation's ids as a session gives it, id by id.
    private static double Written(MoeModel model, string[] pictures, TaskCandidate candidate)
    {
        int[] context = model.Tokenizer.Encode(candidate.Context, addSpecial: false), joint = model.Tokenizer.Encode(candidate.Context + candidate.Continuation, addSpecial: false);
        int common = context.Zip(joint).TakeWhile(pair => pair.First == pair.Second).Count();
        var before = PicturePrompt.Of(model.Config, [], [.. pictures.Select(path => model.ReadPicture(File.ReadAllBytes(path), path))], 512);
        double sum = 0;
        for (int t = common; t < joint.Length; t++)
        {
            using var session = model.NewSession();
            if (pictures.Length == 0)
                session.Append([Opening]);
            session.Append(before);
            session.Append(joint[..t]);
            var token = session.Generate(new GenerationOptions { Temperature = 0, MaxTokens = 1, LogProbs = 320, EosIds = [] }).First();
            sum += token.Alternatives.Single(other => other.Id == joint[t]).LogProb;
        }

        return sum;
    }

    private MoeModel Load() => MoeModel.Load(folder.Path, new EngineOptions { Weights = WeightFormat.F32, Threads = 2 });

    private void Write(string task, params string[] rows) => File.WriteAllLines(folder.File($"{task}.jsonl"), rows);
}
