using DualSparse.Engine;
using DualSparse.Engine.Serving;
using DualSparse.Engine.Serving.Batching;
using DualSparse.Engine.Vision;
using DualSparse.Kernels;
using DualSparse.Models;
using DualSparse.Models.Pictures;
using Microsoft.Extensions.AI;

namespace DualSparse.Tests.Engine.Vision;

public sealed class PicturePromptTests : IDisposable
{
    private const int Image = 300, Video = 301, Start = 302, End = 303;

    private static readonly GenerationOptions s_greedy = new() { Temperature = 0, MaxTokens = 12 };

    private readonly TemporaryFolder folder = PictureModel.Write();
    private readonly MoeModel model;

    public PicturePromptTests() => model = MoeModel.Load(folder.Path, new EngineOptions { Weights = WeightFormat.F32, Threads = 2 });

    public void Dispose()
    {
        model.Dispose();
        folder.Dispose();
    }

    [Fact]
    public void Pictures_without_a_place_come_before_the_text_and_others_where_they_are_named()
    {
        var small = Read("tiny.png");
        Assert.Equal([Start, .. Enumerable.Repeat(Image, 6), End, Start, .. Enumerable.Repeat(Image, 6), End, 7, 8], Of([7, 8], small, small).Ids);
        Assert.Equal([7, .. Enumerable.Repeat(Image, 6), 8], Of([7, Image, 8], small).Ids);
        Assert.Equal([7, 8], Of([7, 8]).Ids);
    }

    [Fact]
    public void What_doesnt_fit_together_is_a_sentence()
    {
        var small = Read("tiny.png");
        Refused("the prompt has places for 1 pictures, expected 2, as many as there are", () => Of([Image], small, small));
        Refused("the prompt has places for 1 pictures, expected 0", () => Of([Image]));
        Refused("a token that stands for a film, which isn't implemented", () => Of([Video, 1]));
        Refused("large.png becomes 252 tokens, and there is room for 200: make it smaller", () => PicturePrompt.Of(model.Config, [1], [Read("large.png")], 200));
        using var session = model.NewSession();
        Refused("the prompt has 1 tokens that stand for pictures, expected 0", () => session.Append([1, Image]));
        using var scheduler = new Scheduler(model);
        Refused("the prompt has 1 tokens that stand for pictures, expected 0", () => scheduler.Submit(new GenerationRequest { Prompt = new[] { 1, Image } }));
        var text = ModelConfig.Load(TestPaths.Golden("olmoe"));
        Refused("this model (olmoe) reads text only", () => PicturePrompt.Of(text, [1], [small], 100));
    }

    [Fact]
    public void A_session_keeps_its_pictures_and_computes_only_what_is_new()
    {
        var (first, second) = (Of([1, 2, Image, 3], Read("exact.png")), Of([1, 2, Image, 3, 4, Image, 5], Read("exact.png"), Read("tiny.png")));
        using var session = model.NewSession();
        session.Append(first);
        session.Generate(s_greedy).ReadToEnd();
        session.Replace(second);
        Assert.Equal(first.Ids.Length, session.CachedTokens);
        string further = session.Generate(s_greedy).ReadToEnd();
        using var fresh = model.NewSession();
        fresh.Append(second);
        Assert.Equal(fresh.Generate(s_greedy).ReadToEnd(), further);
        // Another picture of the same size: the tokens are the same, what stands behind them isn't.
        var other = new PicturePatches(second.Pictures[0].Grid, [.. second.Pictures[0].Values.Select(value => -value)]);
        session.Replace(Of([1, 2, Image, 3], other));
        Assert.Equal(2, session.CachedTokens);
        Refused("6 tokens end inside the picture that begins at token 2", () => session.Truncate(6));
        session.Truncate(2);
        session.Append([9]);
    }

    [Fact]
    public void Tokens_appended_in_parts_are_those_of_one_prompt()
    {
        var picture = Read("tiny.png");
        using MoeSession whole = new(model), parts = new(model);
        whole.Session.Append(Of([1, Image, 3, Image, 4], picture, picture));
        parts.Session.Append(Of([1, Image, 3], picture));
        parts.Session.Append(Of([Image, 4], picture));
        Assert.Equal(whole.Write(), parts.Write());
    }

    // Side by side, and with what others have left in the cache: each its own text, whatever runs beside.
    [Fact]
    public async Task Requests_with_pictures_run_side_by_side_and_share_equal_ones_alone()
    {
        PicturePrompt[] prompts = [Of([1, Image, 3], Read("exact.png")), Of([1, Image, 3], Read("palette.png")), Of([1, Image, 3, Image], Read("exact.png"), Read("tiny.png")), Of([4, 5, 6, 7, 8])];
        string[] alone = [.. prompts.Select(prompt =>
        {
            using var session = new MoeSession(model);
            session.Session.Append(prompt);
            return session.Write();
        })];
        using var scheduler = new Scheduler(model);
        for (int round = 0; round < 2; round++)
        {
            var streams = prompts.Select(prompt => scheduler.Submit(new GenerationRequest { Prompt = prompt.Ids, Pictures = prompt.Pictures, Options = s_greedy }, TestContext.Current.CancellationToken)).ToArray();
            for (int i = 0; i < streams.Length; i++)
            {
                var text = new System.Text.StringBuilder();
                await foreach (var token in streams[i].ReadAsync(TestContext.Current.CancellationToken))
                    text.Append(token.Token.Text);
                Assert.Equal(alone[i], text.ToString());
                if (round == 1)
                    Assert.True(streams[i].Usage.CachedTokens > 0);
            }
        }

        // The first prompt's tokens, another picture: only what stands before it is shared, and that is too little to copy.
        var last = scheduler.Submit(new GenerationRequest { Prompt = prompts[0].Ids, Pictures = [new PicturePatches(prompts[0].Pictures[0].Grid, [.. prompts[0].Pictures[0].Values.Select(v => -v)])], Options = s_greedy }, TestContext.Current.CancellationToken);
        await foreach (var _ in last.ReadAsync(TestContext.Current.CancellationToken))
        {
        }

        Assert.Equal(0, last.Usage.CachedTokens);
    }

    [Fact]
    public async Task A_chat_client_takes_pictures_as_parts_of_messages()
    {
        using var scheduler = new Scheduler(model);
        using var client = scheduler.AsChatClient();
        var message = new ChatMessage(ChatRole.User, [new TextContent("see "), new DataContent(File.ReadAllBytes(PictureModel.Picture()), "image/png"), new TextContent(" and say")]);
        var options = new ChatOptions { Temperature = 0, MaxOutputTokens = 12 };
        var answer = await client.GetResponseAsync(message, options, TestContext.Current.CancellationToken);
        using var session = new MoeSession(model);
        session.Session.Append(Of(model.Tokenizer.Encode("user: see <|vision_start|><|image_pad|><|vision_end|> and say\nassistant:"), Read("exact.png")));
        Assert.Equal(session.Write(), answer.Text);
        Assert.Equal(session.Session.Ids.Length - 12, answer.Usage!.InputTokenCount);
        var uri = new ChatMessage(ChatRole.User, [new UriContent("https://example.org/a.png", "image/png")]);
        Assert.Contains("nothing is fetched", (await Assert.ThrowsAsync<NotSupportedException>(() => client.GetResponseAsync(uri, options, TestContext.Current.CancellationToken))).Message);
        var broken = new ChatMessage(ChatRole.User, [new DataContent(new byte[] { 1, 2, 3 }, "image/png") { Name = "x.png" }]);
        Assert.Contains("x.png: it is no picture that is known", (await Assert.ThrowsAsync<PictureException>(() => client.GetResponseAsync(broken, options, TestContext.Current.CancellationToken))).Message);
    }

    [Fact]
    public void A_user_cant_write_a_picture_in_words()
    {
        using var client = model.NewSession();
        var request = new DualSparse.Models.Text.Templates.ChatRequest
        {
            Messages = System.Text.Json.JsonElement.Parse("""[{"role":"user","content":[{"type":"image"},{"type":"text","text":"<|image_pad|>"}]}]"""),
            ReadsPictures = true,
        };
        int[] ids = model.Tokenizer.Encode(model.ChatTemplate!.Render(request));
        Assert.Single(ids, id => id == Image);
    }

    private PicturePatches Read(string name) => model.ReadPicture(File.ReadAllBytes(PictureModel.Picture(name)), name);

    private PicturePrompt Of(int[] ids, params PicturePatches[] pictures) => PicturePrompt.Of(model.Config, ids, pictures, model.ContextTokens);

    private static void Refused(string expected, Action act) => Assert.Contains(expected, Assert.ThrowsAny<ArgumentException>(act).Message);

    private sealed class MoeSession(MoeModel model) : IDisposable
    {
        public Session Session { get; } = model.NewSession();

        public string Write() => Session.Generate(s_greedy).ReadToEnd();

        public void Dispose() => Session.Dispose();
    }
}
