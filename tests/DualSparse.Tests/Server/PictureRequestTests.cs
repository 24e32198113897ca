using DualSparse.Engine;
using DualSparse.Tests.Engine.Vision;

namespace DualSparse.Tests.Server;

public sealed class PictureRequestTests : IAsyncLifetime
{
    private const string Path = "/v1/chat/completions", Url = "messages[0].content[1].image_url.url";

    private readonly TemporaryFolder folder = PictureModel.Write();
    private MoeModel model = null!;
    private TestServer server = null!;

    public async ValueTask InitializeAsync()
    {
        model = MoeModel.Load(folder.Path, new EngineOptions { Threads = 2 });
        server = await TestServer.StartAsync(model);
    }

    public async ValueTask DisposeAsync()
    {
        await server.DisposeAsync();
        model.Dispose();
        folder.Dispose();
    }

    [Fact]
    public async Task A_picture_in_an_address_is_read()
    {
        string one = await Answer(Body(PictureModel.Address())), other = await Answer(Body(PictureModel.Address("palette.png")));
        Assert.NotEqual(one, other);
        Assert.Equal(one, await Answer(Body(PictureModel.Address())));
        // As some clients send it: the address itself.
        Assert.Equal(one, await Answer($$"""{"messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"input_image","image_url":"{{PictureModel.Address()}}"}]}],"max_tokens":8,"temperature":0}"""));
    }

    [Theory]
    [InlineData("https://example.org/a.png", "is an address on the web, and nothing is fetched from there: send the picture itself, as 'data:image/png;base64,…'")]
    [InlineData("file:///etc/passwd", "is 'file:///etc/passwd', expected a picture as 'data:image/png;base64,…'")]
    [InlineData("data:image/png;base64,%%%", "isn't valid base64 behind its comma")]
    [InlineData("data:image/webp;base64,UklGRgAAAABXRUJQVlA4IA==", "it is WebP, expected PNG or JPEG")]
    [InlineData("data:image/png;base64,", "it is empty, expected PNG or JPEG")]
    public async Task Another_address_is_refused_by_its_name(string address, string expected)
    {
        var error = await server.ErrorAsync(400, Path, Body(address));
        Assert.Contains(expected, error.GetProperty("message").GetString());
        Assert.Equal(Url, error.GetProperty("param").GetString());
    }

    [Fact]
    public async Task Parts_that_are_neither_text_nor_picture_are_refused()
    {
        var error = await server.ErrorAsync(400, Path, """{"messages":[{"role":"user","content":[{"type":"video_url","video_url":{"url":"data:,"}}]}]}""");
        Assert.Contains("is a part of type 'video_url', and this model reads text and pictures: expected 'text' or 'image_url'", error.GetProperty("message").GetString());
        error = await server.ErrorAsync(400, "/v1/completions", """{"prompt":"a <|image_pad|>"}""");
        Assert.Contains("tokens that stand for pictures, expected 0", error.GetProperty("message").GetString());
    }

    private static string Body(string address) =>
        $$$"""{"messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"image_url","image_url":{"url":"{{{address}}}","detail":"auto"}}]}],"max_tokens":8,"temperature":0}""";

    private async Task<string> Answer(string body) => (await server.AnswerAsync(Path, body)).GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString()!;
}
