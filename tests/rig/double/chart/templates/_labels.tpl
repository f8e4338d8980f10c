{{- define "binder.labels" -}}
app: binder
name: binder
component: binder
release: {{ .Release.Name }}
heritage: {{ .Release.Service }}
{{- end }}
{{- define "hub.match" -}}
app: jupyterhub
component: hub
release: {{ .Release.Name }}
{{- end }}
{{- define "proxy.match" -}}
app: jupyterhub
component: proxy
release: {{ .Release.Name }}
{{- end }}
{{- define "docker.config" -}}
{{- $url := default "https://index.docker.io/v1/" .Values.registry.url -}}
{{- $auth := printf "%s:%s" (default "<token>" .Values.registry.username) (default "" .Values.registry.password) | b64enc -}}
{{- dict "auths" (dict $url (dict "auth" $auth)) | toPrettyJson -}}
{{- end }}
