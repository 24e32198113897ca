using System.Net.Http.Json;
using System.Text.Json;
using DualSparse.Server;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.DependencyInjection;

#pragma warning disable xUnit1051 // The lines stand here as in the document.
namespace DualSparse.Tests.Server;

/// <summary>The lines of docs/serving.md for an application of one's own, as they stand there.</summary>
[Collection("alone")]
public class LibraryTests
{
    [Fact]
    public async Task Six_lines_serve_a_model()
    {
        string before = Environment.CurrentDirectory;
        try
        {
            Environment.CurrentDirectory = TestPaths.InRepository();
            string[] args = ["--urls", "http://127.0.0.1:0", "--Logging:LogLevel:Default=None"];
            var builder = WebApplication.CreateSlimBuilder(args);
            builder.Services.AddDualSparse("models/olmoe-mini");
            var app = builder.Build();
            app.MapDualSparse();
            var run = Task.Run(() =>
            {
                app.Run();
            });
            await TestServer.UntilAsync(() => app.Lifetime.ApplicationStarted.IsCancellationRequested);
            using var client = new HttpClient { BaseAddress = new Uri(app.Urls.First()) };
            HttpResponseMessage response;
            while (!(response = await client.PostAsJsonAsync("/v1/completions", new { model = "olmoe-mini", prompt = "Once upon a time", max_tokens = 4 })).IsSuccessStatusCode)
                await Task.Delay(20);
            Assert.Equal(4, (await response.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("usage").GetProperty("completion_tokens").GetInt32());
            app.Lifetime.StopApplication();
            await run;
        }
        finally
        {
            Environment.CurrentDirectory = before;
        }
    }

    [Fact]
    public async Task The_application_has_the_model_as_a_chat_client()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder.File("chat.jinja"), "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}assistant:");
        var builder = WebApplication.CreateSlimBuilder(["--urls", "http://127.0.0.1:0", "--Logging:LogLevel:Default=None"]);
        builder.Services.AddDualSparse(TestPaths.Model, options => options.Engine = options.Engine with { ChatTemplate = folder.File("chat.jinja") });
        await using var app = builder.Build();
        // Before the model is loaded, and before its loading begins.
        var client = app.Services.GetRequiredService<IChatClient>();
        Assert.Null(client.GetService<ChatClientMetadata>());
        var asked = client.GetResponseAsync("Why?", new ChatOptions { MaxOutputTokens = 3, Temperature = 0, AdditionalProperties = new() { ["drop"] = 0.25 } });
        await app.StartAsync();
        var response = await asked;
        Assert.Equal((3, ChatFinishReason.Length), (response.Usage!.OutputTokenCount, response.FinishReason));
        Assert.Equal("dualsparse", client.GetService<ChatClientMetadata>()!.ProviderName);
        List<ChatResponseUpdate> updates = [];
        await foreach (var update in client.GetStreamingResponseAsync("Why?", new ChatOptions { MaxOutputTokens = 3, Temperature = 0, AdditionalProperties = new() { ["drop"] = 0.25 } }))
            updates.Add(update);
        Assert.Equal(response.Text, updates.ToChatResponse().Text);
        await app.StopAsync();
        await Assert.ThrowsAnyAsync<Exception>(() => client.GetResponseAsync("Why?"));
    }

    [Fact]
    public void The_document_shows_the_code_that_runs()
    {
        string code = File.ReadAllText(TestPaths.InRepository("docs", "serving.md")).Split("```csharp\n")[1].Split("```")[0];
        string test = File.ReadAllText(TestPaths.InRepository("tests", "DualSparse.Tests", "Server", "LibraryTests.cs"));
        foreach (string line in code.Split('\n', StringSplitOptions.RemoveEmptyEntries))
            Assert.Contains(line.Trim(), test);
    }
}
