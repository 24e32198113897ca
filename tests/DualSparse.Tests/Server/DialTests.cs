using System.Globalization;
using System.Text.Json;
using DualSparse.Engine;

namespace DualSparse.Tests.Server;

/// <summary>The dial on the wire: set in four ways, the loss told beforehand, the share afterwards.</summary>
[Collection("server")]
public class DialTests(ServedMini mini)
{
    private const string Path = "/v1/completions", Drop = "X-DualSparse-Drop", Expected = "X-DualSparse-Expected-KL";

    // Adapted thresholds come near a rate within some tens of tokens.
    private static readonly string s_prompt = string.Concat(Enumerable.Repeat("the king of the city ", 30));

    [Theory]
    [InlineData("\"drop\":0.25", "")]
    [InlineData("\"quality\":{\"drop\":0.25}", "")]
    [InlineData("\"model\":\"mini:fast\"", "")]
    [InlineData("\"max_tokens\":4", "0.25")]
    public async Task A_share_set_in_any_way_is_dropped_and_its_loss_told_beforehand_and_after(string field, string header)
    {
        (string, string)[] headers = header.Length == 0 ? [] : [(Drop, header)];
        using var response = await mini.Server.PostAsync(Path, $$"""{"prompt":"{{s_prompt}}",{{field}}}""", default, headers);
        Assert.Equal("0.25", Assert.Single(response.Headers.GetValues(Drop)));
        Assert.Equal(ServedMini.QuarterKl, double.Parse(Assert.Single(response.Headers.GetValues(Expected)), CultureInfo.InvariantCulture), 1e-9);
        var dial = Dial(JsonElement.Parse(await response.Content.ReadAsStringAsync()));
        Assert.InRange(dial.GetProperty("drop").GetDouble(), 0.15, 0.4);
        Assert.Equal(0.25, dial.GetProperty("requested_drop").GetDouble());
        double kl = dial.GetProperty("expected_kl").GetDouble();
        Assert.InRange(kl, ServedMini.QuarterKl / 4, ServedMini.QuarterKl * 4);
        Assert.InRange(kl, dial.GetProperty("expected_kl_interval")[0].GetDouble(), dial.GetProperty("expected_kl_interval")[1].GetDouble());
    }

    [Fact]
    public async Task A_highest_loss_is_kept_within()
    {
        var dial = Dial(await mini.Server.AnswerAsync(Path, $$"""{"prompt":"{{s_prompt}}","max_kl":0.002}"""));
        Assert.Equal((0.002, ServedMini.QuarterKl), (dial.GetProperty("requested_max_kl").GetDouble(), dial.GetProperty("expected_kl").GetDouble()));
        Assert.InRange(dial.GetProperty("drop").GetDouble(), 0.01, 0.9);
    }

    [Fact]
    public async Task Nothing_dropped_is_nothing_lost_and_the_request_wins_over_header_and_name()
    {
        var none = Dial(await mini.Server.AnswerAsync(Path, """{"prompt":"a","max_tokens":2}"""));
        Assert.Equal((0, 0), (none.GetProperty("drop").GetDouble(), none.GetProperty("expected_kl").GetDouble()));
        var own = Dial(await mini.Server.AnswerAsync(Path, """{"prompt":"a","max_tokens":2,"drop":0,"model":"mini:fast"}""", (Drop, "0.5")));
        Assert.Equal((0, 0), (own.GetProperty("drop").GetDouble(), own.GetProperty("requested_drop").GetDouble()));
        var header = Dial(await mini.Server.AnswerAsync(Path, """{"prompt":"a","max_tokens":2,"model":"mini:fast"}""", (Drop, "0.1")));
        Assert.Equal(0.1, header.GetProperty("requested_drop").GetDouble());
    }

    [Theory]
    [InlineData("\"drop\":2", "drop")]
    [InlineData("\"drop\":0.9", "drop")]
    [InlineData("\"drop\":\"much\"", "drop")]
    [InlineData("\"max_kl\":0", "max_kl")]
    [InlineData("\"max_kl\":1e-9,\"drop\":0.1", "max_kl")]
    [InlineData("\"quality\":\"auto\"", "quality")]
    [InlineData("\"quality\":{\"drop\":0.1,\"max_kl\":0.1}", "quality.max_kl")]
    [InlineData("\"drop\":0.1,\"quality\":{\"drop\":0.1}", "quality.drop")]
    public async Task What_cannot_be_is_named(string field, string param) =>
        Assert.Equal(param, (await mini.Server.ErrorAsync(400, Path, $$"""{"prompt":"a",{{field}}}""")).GetProperty("param").GetString());

    [Fact]
    public async Task A_header_that_makes_no_sense_and_a_model_that_is_not_there_are_named()
    {
        Assert.Contains("'half'", (await mini.Server.ErrorAsync(400, Path, """{"prompt":"a"}""", (Drop, "half"))).GetProperty("message").GetString());
        var error = await mini.Server.ErrorAsync(404, Path, """{"prompt":"a","model":"gpt-4"}""");
        Assert.Equal(("model_not_found", "model"), (error.GetProperty("code").GetString(), error.GetProperty("param").GetString()));
        Assert.Contains("'mini:fast'", error.GetProperty("message").GetString());
    }

    [Fact]
    public async Task The_list_of_models_tells_each_positions_cost()
    {
        var fast = (await mini.Server.GetAsync("/v1/models/mini:fast")).GetProperty("dualsparse");
        Assert.Equal((0.25, ServedMini.QuarterKl, 0.5), (fast.GetProperty("drop").GetDouble(), fast.GetProperty("expected_kl").GetDouble(), fast.GetProperty("max_drop").GetDouble()));
        Assert.Equal([0.25, 0.5], fast.GetProperty("points").EnumerateArray().Select(p => p.GetProperty("drop").GetDouble()));
        Assert.Equal(0, (await mini.Server.GetAsync("/v1/models/mini")).GetProperty("dualsparse").GetProperty("drop").GetDouble());
    }

    // An id that the model's dualsparse.json can't serve is not offered.
    [Fact]
    public async Task Ids_are_those_that_can_be_served_with_the_servers_own_default()
    {
        await using var server = await TestServer.StartAsync(mini.Model, options =>
        {
            options.Aliases["third"] = new DropRequest { Rate = 0.33 };
            options.Aliases["most"] = new DropRequest { Rate = 0.9 };
        });
        var ids = (await server.GetAsync("/v1/models")).GetProperty("data").EnumerateArray().Select(m => m.GetProperty("id").GetString());
        Assert.Equal(["mini", "mini:dense", "mini:fast", "mini:third"], ids);
    }

    private static JsonElement Dial(JsonElement answer) => answer.GetProperty("usage").GetProperty("dualsparse");
}
