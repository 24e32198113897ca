using DualSparse.Engine;
using Microsoft.Extensions.AI;

#pragma warning disable xUnit1051 // The lines stand here as in the README.
namespace DualSparse.Tests.Engine;

/// <summary>The README's lines of C#, as they stand there; <see cref="ArchitectureTests"/> compares the two texts.</summary>
[Collection("alone")]
public class ReadmeTests
{
    [Fact]
    public async Task Lines_write_text()
    {
        string written = await Written(TestPaths.InRepository(), () =>
        {
            using var model = MoeModel.Load("models/olmoe-mini");
            using var session = model.NewSession();
            session.Drop = new DropRequest { Rate = 0.25 };
            foreach (var token in session.Generate("Once upon a time"))
                Console.Write(token.Text);
            return Task.CompletedTask;
        });
        Assert.NotEmpty(written);
    }

    [Fact]
    public async Task Lines_hold_a_conversation()
    {
        using var here = new TemporaryFolder();
        using var folder = TemporaryFolder.CopyOf(TestPaths.Model);
        Directory.Move(folder.Path, here.File("FOLDER"));
        Directory.CreateDirectory(folder.Path);
        File.WriteAllText(Path.Combine(here.File("FOLDER"), "chat_template.jinja"), "{% for m in messages %}{{ m.content }}{% endfor %}");
        string written = await Written(here.Path, async () =>
        {
            using var chat = MoeModel.Load("FOLDER").AsChatClient();
            var options = new ChatOptions { MaxOutputTokens = 60, AdditionalProperties = new() { ["drop"] = 0.25 } };
            await foreach (var update in chat.GetStreamingResponseAsync("Why is the sky blue?", options))
                Console.Write(update);
        });
        Assert.NotEmpty(written);
    }

    // What the lines write, run in a folder.
    private static async Task<string> Written(string folder, Func<Task> lines)
    {
        string before = Environment.CurrentDirectory;
        var output = Console.Out;
        using var written = new StringWriter();
        try
        {
            Environment.CurrentDirectory = folder;
            Console.SetOut(written);
            await lines();
        }
        finally
        {
            Console.SetOut(output);
            Environment.CurrentDirectory = before;
        }

        return written.ToString();
    }
}
