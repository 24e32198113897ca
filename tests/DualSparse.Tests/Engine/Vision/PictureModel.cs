using System.Text.Json;
using System.Text.Json.Nodes;
using DualSparse.Models.Text;

namespace DualSparse.Tests.Engine.Vision;

/// <summary>The golden model with a tokenizer of bytes, a template, and what it does with pictures: a folder that all commands take.</summary>
internal static class PictureModel
{
    /// <summary>Messages in a line each, a picture as the model's three tokens.</summary>
    public const string Template = """
        {%- for message in messages -%}
        {{- message.role + ': ' -}}
        {%- if message.content is string -%}{{- message.content -}}
        {%- else -%}{%- for part in message.content -%}
        {%- if part.type == 'image' -%}{{- '<|vision_start|><|image_pad|><|vision_end|>' -}}{%- else -%}{{- part.text -}}{%- endif -%}
        {%- endfor -%}{%- endif -%}
        {{- '\n' -}}
        {%- endfor -%}
        {%- if add_generation_prompt -%}{{- 'assistant:' -}}{%- endif -%}
        """;

    /// <summary>A picture of the golden ones.</summary>
    public static string Picture(string name = "exact.png") => TestPaths.Golden("vl", "images", name);

    /// <summary>A picture in an address.</summary>
    public static string Address(string name = "exact.png") => $"data:image/png;base64,{Convert.ToBase64String(File.ReadAllBytes(Picture(name)))}";

    /// <summary>Writes the folder.</summary>
    public static TemporaryFolder Write()
    {
        var folder = TemporaryFolder.CopyOf(TestPaths.Golden("vl", "qwen3_vl_moe"));
        File.Copy(TestPaths.Golden("vl", "images", "preprocessor_config.json"), folder.File("preprocessor_config.json"));
        File.WriteAllText(folder.File("chat_template.jinja"), Template);
        var vocabulary = new JsonObject();
        for (int value = 0; value < 256; value++)
            vocabulary[ByteAlphabet.ToChar((byte)value).ToString()] = value;
        string[] added = [.. Enumerable.Range(256, 44).Select(id => $"<|unused_{id}|>"), "<|image_pad|>", "<|video_pad|>", "<|vision_start|>", "<|vision_end|>"];
        var tokenizer = new JsonObject
        {
            ["version"] = "1.0",
            ["added_tokens"] = new JsonArray([.. added.Select((content, i) => new JsonObject
            {
                ["id"] = 256 + i, ["content"] = content, ["single_word"] = false, ["lstrip"] = false, ["rstrip"] = false, ["normalized"] = false, ["special"] = true,
            })]),
            ["normalizer"] = null,
            ["pre_tokenizer"] = new JsonObject { ["type"] = "ByteLevel", ["add_prefix_space"] = false, ["trim_offsets"] = true, ["use_regex"] = true },
            ["post_processor"] = null,
            ["decoder"] = new JsonObject { ["type"] = "ByteLevel", ["add_prefix_space"] = true, ["trim_offsets"] = true, ["use_regex"] = true },
            ["model"] = new JsonObject { ["type"] = "BPE", ["vocab"] = vocabulary, ["merges"] = new JsonArray() },
        };
        File.WriteAllText(folder.File("tokenizer.json"), tokenizer.ToJsonString(new JsonSerializerOptions()));
        return folder;
    }
}
