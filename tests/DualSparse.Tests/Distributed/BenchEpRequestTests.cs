using System.Text.Json;
using DualSparse.Engine.Moe;
using DualSparse.Benchmarking.ExpertParallel;
using DualSparse.Tests.Cli;
using DualSparse.Tests.Engine.Vision;

namespace DualSparse.Tests.Distributed;

/// <summary><c>bench ep --requests</c>: routing of pictures with text.</summary>
public sealed class BenchEpRequestTests : IDisposable
{
    private static readonly string[] s_common = ["bench", "ep", "--balance", "precision", "--expert-rates", "1000,1,3,1000", "--knee", "8", "--marked-above", "0.3", "--layers", "2", "--rounds", "1", "--json"];

    private readonly TemporaryFolder folder = PictureModel.Write();

    public BenchEpRequestTests() => File.WriteAllLines(folder.File("scenes.jsonl"), Enumerable.Range(0, 16).Select(i => JsonSerializer.Serialize(
        new { query = $"There are {i}.", choices = new[] { "true", "false" }, gold = 0, images = new[] { PictureModel.Address(i % 2 == 0 ? "exact.png" : "tiny.png") } })));

    public void Dispose() => folder.Dispose();

    [Fact]
    public void Rows_are_the_models_and_experts_are_placed_by_earlier_ones_too()
    {
        string[] arguments = [.. s_common, "--model", folder.Path, "--requests", folder.File("scenes.jsonl"), "--virtual", "2"];
        Check(CommandRun.Of([.. arguments, "--latency", "10", "--bandwidth", "1000", "--each", "2"]) is { Code: 0 } alone ? alone.Output : throw new InvalidOperationException("bench ep failed"), 1, 2);
        var real = MpiRun.Own([.. arguments, "--ranks", "2"]);
        Assert.True(real.Code == 0, real.Errors);
        Check(real.Output, 2, 1);

        static void Check(string output, int kinds, int each)
        {
            using var json = JsonDocument.Parse(output);
            // Pictures of 24 and of 6 tokens, two marks around each, 32 of text.
            Assert.Equal(each * (24 + 6 + 4 + 32), json.RootElement.GetProperty("tokens").GetInt32());
            Assert.Equal(30.0 / 66, json.RootElement.GetProperty("marked").GetDouble(), 1e-9);
            var figures = json.RootElement.GetProperty("figures").EnumerateArray().ToArray();
            Assert.Equal(6 * kinds, figures.Length);
            Assert.Equal("placed by earlier loads", figures[1].GetProperty("variant").GetString());
            Assert.All(figures, f => Assert.Equal(2, f.GetProperty("layers").GetArrayLength()));
            Assert.Equal(1, figures.Single(f => f.GetProperty("variant").GetString() == "precision, every rank" && f.GetProperty("real").GetBoolean() == kinds > 1).GetProperty("switched").GetDouble());
        }
    }

    [Fact]
    public void Rows_of_pictures_come_first_and_each_expert_stands_for_several()
    {
        RoutingPlan first = Plan(0, 1, 2), second = Plan(3, 4, 5);
        var joined = RequestPlans.Join([first, second], marked: 2);
        Assert.Equal([0, 10, 1, 11, 3, 13, 4, 14, 2, 12, 5, 15], joined.Experts.ToArray());
        Assert.Equal(first.Scores[0], joined.Scores[0]);

        // Three rows of two experts each.
        static RoutingPlan Plan(params int[] experts)
        {
            var plan = new RoutingPlan();
            plan.Reset(experts.Length, 2);
            for (int i = 0; i < experts.Length; i++)
                (plan.Experts[2 * i], plan.Experts[2 * i + 1], plan.Scores[2 * i]) = (experts[i], experts[i] + 10, 0.6f);
            return plan;
        }
    }

    [Theory]
    [InlineData("--requests are routed by a model with 4 of 16 experts, expected a whole part of olmoe's 8 of 64", "--shape", "olmoe")]
    [InlineData("--requests say how many rows there are and where they go: leave --tokens out", "--tokens", "8")]
    [InlineData("--requests say which rows are marked: leave --marked out", "--marked", "0.5")]
    [InlineData("scenes.jsonl has 16 of 16 rows with pictures, expected 32, for 16 requests, half of them earlier ones", "--each", "4")]
    public void Mistakes_are_one_sentence(string expected, params string[] more) => Assert.Contains(expected, CommandRun.Mistake(
        [.. s_common, "--model", folder.Path, "--requests", folder.File("scenes.jsonl"), "--virtual", "2", "--latency", "1", "--bandwidth", "1000", .. more]));

    [Fact]
    public void A_text_model_and_options_without_requests_are_refused()
    {
        Assert.Contains("this model (olmoe) reads text only", CommandRun.Mistake([.. s_common, "--model", TestPaths.Model, "--requests", folder.File("scenes.jsonl"), "--latency", "1", "--bandwidth", "1000"]));
        Assert.Contains("--each goes with --requests", CommandRun.Mistake([.. s_common, "--each", "2", "--latency", "1", "--bandwidth", "1000"]));
        Assert.Contains("--requests goes with --balance", CommandRun.Mistake("bench", "ep", "--model", folder.Path, "--requests", folder.File("scenes.jsonl"), "--virtual", "2", "--latency", "1", "--bandwidth", "1000"));
    }
}
