using System.Text.Json;
using DualSparse.Engine;
using DualSparse.Models;
using DualSparse.Models.Text.Templates;

namespace DualSparse.Tests.Text.Templates;

/// <summary>Where templates are found.</summary>
public class ChatTemplateFileTests
{
    private static readonly ChatRequest s_request = new() { Messages = JsonElement.Parse("""[{"role":"user","content":"hi"}]"""), Now = new DateTime(2025, 3, 4) };

    [Fact]
    public void A_folder_may_keep_it_in_three_places()
    {
        using var folder = new TemporaryFolder();
        Assert.Null(ChatTemplate.Find(folder.Path));
        File.WriteAllText(folder.File("tokenizer_config.json"), """{"bos_token":{"content":"<b>"},"eos_token":"<e>","chat_template":"{{ bos_token }}config{{ strftime_now('%d %b %Y') }}"}""");
        Assert.Equal("<b>config04 Mar 2025", ChatTemplate.Find(folder.Path)!.Render(s_request).Text);
        File.WriteAllText(folder.File("chat_template.json"), """{"chat_template":"json{{ eos_token }}"}""");
        Assert.Equal("json<e>", ChatTemplate.Find(folder.Path)!.Render(s_request).Text);
        File.WriteAllText(folder.File("chat_template.jinja"), "\uFEFFfile\n{{ messages[0].content }}\n");
        Assert.Equal("file\nhi", ChatTemplate.Find(folder.Path)!.Render(s_request).Text);
        Assert.Equal("json", ChatTemplate.Read(folder.File("chat_template.json")).Render(s_request).Text);
        Assert.Equal("json<e>", ChatTemplate.Read(folder.File("chat_template.json"), folder.Path).Render(s_request).Text);
    }

    [Fact]
    public void A_list_has_one_for_tools()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder.File("tokenizer_config.json"), """{"chat_template":[{"name":"tool_use","template":"with tools"},{"name":"default","template":"plain"}]}""");
        var template = ChatTemplate.Find(folder.Path)!;
        Assert.Equal("plain", template.Render(s_request).Text);
        Assert.Equal("plain", template.Render(s_request with { Tools = JsonElement.Parse("[]") }).Text);
        Assert.Equal("with tools", template.Render(s_request with { Tools = JsonElement.Parse("[{}]") }).Text);
        Assert.Equal("plain", template.Source);
    }

    [Fact]
    public void Damaged_files_are_refused_with_the_reason()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder.File("tokenizer_config.json"), """{"chat_template":5}""");
        Assert.Contains("'chat_template' is 5, expected an array", Assert.Throws<ModelFormatException>(() => ChatTemplate.Find(folder.Path)).Message);
        File.WriteAllText(folder.File("tokenizer_config.json"), """{"chat_template":[]}""");
        Assert.Null(ChatTemplate.Find(folder.Path));
        File.WriteAllText(folder.File("chat_template.jinja"), "{{");
        Assert.StartsWith("chat_template.jinja:1:1: ", Assert.Throws<ChatTemplateException>(() => ChatTemplate.Find(folder.Path)).Message);
        File.WriteAllText(folder.File("x.json"), "{}");
        Assert.Contains("it has no 'chat_template'", Assert.Throws<ModelFormatException>(() => ChatTemplate.Read(folder.File("x.json"))).Message);
        Assert.Contains("there is no such file", Assert.Throws<ModelFormatException>(() => ChatTemplate.Read(folder.File("none.jinja"))).Message);
    }

    [Fact]
    public void A_model_has_the_folders_or_the_one_that_is_named()
    {
        using (var plain = MoeModel.Load(TestPaths.Model))
            Assert.Null(plain.ChatTemplate);
        var options = new EngineOptions { ChatTemplate = TestPaths.Golden("templates", "templates", "roles.jinja") };
        using (var model = MoeModel.Load(TestPaths.Model, options))
            Assert.Equal("<|user|>\nhi<|end|>\n<|assistant|>\n", model.ChatTemplate!.Render(s_request).Text);
        Assert.Throws<ModelFormatException>(() => MoeModel.Load(TestPaths.Model, new EngineOptions { ChatTemplate = "none.jinja" }));
    }
}
