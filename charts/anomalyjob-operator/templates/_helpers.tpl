{{/* Names and labels. Nothing in here decides what is rendered. */}}

{{- define "anomalyjob-operator.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* 50 characters leave room for the suffixes that Kubernetes adds to the names of pods. */}}
{{- define "anomalyjob-operator.fullname" -}}
{{- $name := include "anomalyjob-operator.name" . -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Name of what lives outside the release's namespace: two releases of one name must not take it from each other. */}}
{{- define "anomalyjob-operator.outsideName" -}}
{{- printf "%s:%s" .Release.Namespace (include "anomalyjob-operator.fullname" .) -}}
{{- end -}}

{{- define "anomalyjob-operator.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "anomalyjob-operator.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* Tag and digest are both kept: the digest decides, the tag tells a reader what it is. */}}
{{- define "anomalyjob-operator.image" -}}
{{- $registry := default .Values.image.registry .Values.global.imageRegistry -}}
{{- with $registry }}{{ trimSuffix "/" . }}/{{ end -}}
{{- .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag -}}
{{- with .Values.image.digest }}@{{ . }}{{ end -}}
{{- end -}}

{{- define "anomalyjob-operator.selectorLabels" -}}
app.kubernetes.io/name: {{ include "anomalyjob-operator.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* The chart's own labels come last, so that commonLabels cannot replace one that a selector needs. */}}
{{- define "anomalyjob-operator.labels" -}}
{{- $own := dict
  "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_")
  "app.kubernetes.io/version" .Chart.AppVersion
  "app.kubernetes.io/managed-by" .Release.Service
  "app.kubernetes.io/part-of" .Chart.Name -}}
{{- $selector := include "anomalyjob-operator.selectorLabels" . | fromYaml -}}
{{- mergeOverwrite (dict) .Values.commonLabels $own $selector | toYaml -}}
{{- end -}}

{{- define "anomalyjob-operator.podLabels" -}}
{{- $selector := include "anomalyjob-operator.selectorLabels" . | fromYaml -}}
{{- mergeOverwrite (dict) .Values.commonLabels .Values.podLabels $selector | toYaml -}}
{{- end -}}

{{/* "true" where ClusterElasticsearchConnections are served, else empty. */}}
{{- define "anomalyjob-operator.clusterConnections" -}}
{{- if kindIs "invalid" .Values.clusterConnections.enabled -}}
{{- if not .Values.watch.namespaces }}true{{ end -}}
{{- else if .Values.clusterConnections.enabled }}true{{ end -}}
{{- end -}}

{{/* Where their Secrets and ConfigMaps are. */}}
{{- define "anomalyjob-operator.clusterConnectionsNamespace" -}}
{{- default .Release.Namespace .Values.clusterConnections.namespace -}}
{{- end -}}

{{- define "anomalyjob-operator.subjects" -}}
subjects:
  - kind: ServiceAccount
    name: {{ include "anomalyjob-operator.serviceAccountName" . }}
    namespace: {{ .Release.Namespace }}
{{- end -}}
