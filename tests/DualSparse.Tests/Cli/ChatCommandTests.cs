using System.Diagnostics;
using System.Text.Json;
using System.Text.RegularExpressions;
using DualSparse.Cli.Commands;
using DualSparse.Cli.Hosting;
using DualSparse.Engine;
using DualSparse.Engine.Serving;
using DualSparse.Models.Text.Templates;
using DualSparse.Tests.Distributed;
using DualSparse.Tests.Engine.Serving;

namespace DualSparse.Tests.Cli;

/// <summary>Conversations in a terminal that is none.</summary>
public partial class ChatCommandTests(LoadedModel loaded) : IClassFixture<LoadedModel>
{
    private const string Template = "{% for m in messages %}{{ m.role }}:{{ m.content }}\n{% endfor %}assistant:";

    private readonly MoeModel model = loaded.Model;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public void Each_answer_is_what_the_whole_conversation_leads_to_and_only_new_tokens_are_read()
    {
        var run = Chat(12, "The city of", "And the sea?");
        string first = Lone(12, ("user", "The city of"));
        string second = Lone(12, ("user", "The city of"), ("assistant", first), ("user", "And the sea?"));
        Assert.Equal($"{first}\n{second}\n", run.Output);
        var read = Read().Matches(run.Errors);
        Assert.Equal(2, read.Count);
        Assert.Equal(read[0].Groups["new"].Value, read[0].Groups["all"].Value);
        Assert.True(int.Parse(read[1].Groups["new"].Value) < int.Parse(read[1].Groups["all"].Value) / 2, run.Errors);
    }

    [Fact]
    public void The_dial_is_turned_between_two_answers()
    {
        var run = Chat(12, "/drop", "The city of", "/drop 0.25", "The city of", "/drop 2", "/max-kl much");
        Assert.Contains("nothing is dropped", run.Errors);
        Assert.Contains("25% of the routed experts' work is to be dropped; the loss is unknown", run.Errors);
        Assert.Single(Regex.Matches(run.Errors, @"written.*· dropped [1-9]"));
        Assert.Contains("/drop is '2', expected a number from 0 to below 1", run.Errors);
        Assert.Contains("/max-kl is 'much'", run.Errors);
    }

    [Fact]
    public void What_it_is_told_before_all_else_and_a_new_beginning_change_the_prompt()
    {
        var run = Chat(8, "The city of", "/reset", "/system Be brief.", "The city of");
        Assert.Equal($"{Lone(8, ("user", "The city of"))}\n{Lone(8, ("system", "Be brief."), ("user", "The city of"))}\n", run.Output);
    }

    [Fact]
    public void A_full_context_is_said_and_the_conversation_goes_on_after_a_new_beginning()
    {
        var run = Chat(null, "The city of", "And?", "/reset", "/exit", "never read");
        Assert.Contains($"the context of {model.ContextTokens} tokens is full: /reset begins anew", run.Errors);
        Assert.Contains("the message is left out: /reset begins anew", run.Errors);
        Assert.Single(Read().Matches(run.Errors));
        Assert.Contains("begun anew", run.Errors);
    }

    [Fact]
    public void Lines_go_on_and_unknown_words_are_named()
    {
        var run = Chat(4, "/frop 1", "one\\", "two", "/help");
        Assert.Equal($"{Lone(4, ("user", "one\ntwo"))}\n", run.Output);
        Assert.Contains("there is no '/frop'; /help says what there is", run.Errors);
        Assert.Contains("/max-kl 0.003", run.Errors);
    }

    [Fact]
    public void Ctrl_C_stops_an_answer_and_twice_at_the_prompt_the_program()
    {
        int hints = 0;
        using var interrupt = new AnswerInterrupt(() => hints++);
        var cancel = interrupt.Begin();
        Assert.True(interrupt.Stop());
        Assert.True(cancel.IsCancellationRequested);
        Assert.False(interrupt.Stop());
        interrupt.End();
        Assert.Equal(0, hints);
        Assert.True(interrupt.Stop());
        Assert.Equal(1, hints);
        Assert.False(interrupt.Stop());
    }

    [Fact]
    public void A_model_without_a_template_is_refused_before_it_is_loaded() =>
        Assert.Contains("has no chat template, and none is made up: give one with --chat-template FILE", CommandRun.Mistake("chat"));

    [Fact]
    public void The_program_reads_a_pipe()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder.File("t.jinja"), Template);
        string[] arguments = ["chat", "-m", TestPaths.Model, "--chat-template", folder.File("t.jinja"), "-n", "6", "--temperature", "0"];
        using var process = Process.Start(new ProcessStartInfo("dotnet", [MpiRun.Program, .. arguments]) { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true })!;
        process.StandardInput.Write("The city of\n/exit\n");
        process.StandardInput.Close();
        var run = MpiRun.Wait(process);
        Assert.Equal((0, $"{Lone(6, ("user", "The city of"))}\n"), (run.Code, run.Output));
    }

    private CommandRun Chat(int? tokens, params string[] lines)
    {
        using StringWriter output = new(), errors = new();
        using var conversation = new Conversation(model, ChatTemplate.Parse(Template, "test"), new GenerationOptions { MaxTokens = tokens, EosIds = [] });
        int code = new ChatLoop(conversation, new StringReader(string.Join('\n', lines)), output, errors, () => false).Run();
        return new CommandRun(code, output.ToString().ReplaceLineEndings("\n"), errors.ToString().ReplaceLineEndings("\n"));
    }

    private string Lone(int tokens, params (string Role, string Content)[] messages)
    {
        var rendered = ChatTemplate.Parse(Template, "test").Render(new ChatRequest { Messages = JsonSerializer.SerializeToElement(messages.Select(m => new { role = m.Role, content = m.Content })) });
        using var session = model.NewSession();
        session.Append(model.Tokenizer.Encode(rendered));
        return session.Generate(new GenerationOptions { MaxTokens = tokens, EosIds = [] }, Cancel).ReadToEnd();
    }

    [GeneratedRegex(@"(?<new>\d+) new tokens of (?<all>\d+) read")]
    private static partial Regex Read();
}
