using DualSparse.Cli.Commands;
using DualSparse.Engine;
using DualSparse.Engine.Serving;
using DualSparse.Tests.Engine.Vision;

namespace DualSparse.Tests.Cli;

public sealed class ImageCommandTests : IDisposable
{
    private readonly TemporaryFolder folder = PictureModel.Write();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void Generate_reads_pictures_in_their_order()
    {
        string[] common = ["generate", "--model", folder.Path, "-n", "8", "--temperature", "0", "--threads", "2", "--json", "say"];
        string none = Text(CommandRun.Of(common)), one = Text(CommandRun.Of([.. common, "--image", PictureModel.Picture()]));
        string two = Text(CommandRun.Of([.. common, "--image", PictureModel.Picture("photo.jpg"), "--image", PictureModel.Picture()]));
        string swapped = Text(CommandRun.Of([.. common, "--image", PictureModel.Picture(), "--image", PictureModel.Picture("photo.jpg")]));
        Assert.Equal(4, new[] { none, one, two, swapped }.Distinct().Count());

        static string Text(CommandRun run)
        {
            Assert.True(run.Code == 0, run.Errors);
            return System.Text.Json.JsonElement.Parse(run.Output).GetProperty("text").GetString()!;
        }
    }

    [Fact]
    public void A_conversation_keeps_its_pictures_and_reads_each_once()
    {
        string[] lines = [$"/image {PictureModel.Picture()}", "a", "b", "/image", $"/image {folder.File("none.png")}", "/reset", "a"];
        using var model = MoeModel.Load(folder.Path, new EngineOptions { Threads = 2 });
        using StringWriter output = new(), errors = new();
        using var conversation = new Conversation(model, model.ChatTemplate!, new GenerationOptions { MaxTokens = 4, Temperature = 0 });
        new ChatLoop(conversation, new StringReader(string.Join('\n', lines)), output, errors, () => false).Run();
        string said = errors.ToString();
        Assert.Contains("shown with the next message", said);
        Assert.Contains("/image names no file, expected a PNG or JPEG file", said);
        Assert.Contains("none.png: there is no such file", said);
        int[] read = [.. System.Text.RegularExpressions.Regex.Matches(said, @"(\d+) new tokens of").Select(match => int.Parse(match.Groups[1].Value))];
        // 24 tokens of the picture and two around it; the second answer reads none of them again; the third has none, and "user: " is there already.
        Assert.Equal(3, read.Length);
        Assert.Equal(26 + "user: ".Length, read[0] - read[2]);
        Assert.InRange(read[1], 1, read[0] - 1);
    }

    [Fact]
    public void What_cant_be_read_is_one_sentence()
    {
        string[] common = ["generate", "say", "--threads", "2", "--image"];
        Assert.Contains("--image was given, and this model (olmoe) reads text only", CommandRun.Mistake([.. common, PictureModel.Picture(), "--model", TestPaths.Model]));
        Assert.Contains("there is no such file", CommandRun.Mistake([.. common, folder.File("none.png"), "--model", folder.Path]));
        File.WriteAllBytes(folder.File("a.webp"), [.. "RIFF"u8, 1, 2, 3, 4, .. "WEBPVP8 "u8]);
        Assert.Contains("it is WebP, expected PNG or JPEG", CommandRun.Mistake([.. common, folder.File("a.webp"), "--model", folder.Path]));
        Assert.Contains("a token that stands for a film", CommandRun.Mistake("generate", "<|video_pad|>", "--threads", "2", "--model", folder.Path));
        // Two of 252 tokens are more than the context of 512 holds beside their marks and the text.
        Assert.Contains("expected at most 512, the model's longest", CommandRun.Mistake([.. common, PictureModel.Picture("large.png"), "--image", PictureModel.Picture("large.png"), "--image", PictureModel.Picture("large.png"), "--model", folder.Path]));
    }
}
